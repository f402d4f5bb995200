package farm

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"farmc/compiler/diag"
)

// A Reply tells the replies of a backend to the requests of a frontend: by the address and the ports that they come
// from.
type Reply struct {
	Frontend *Frontend
	Address  netip.Addr
	Ports    Ports
	Port     uint16 // the port that the client expects; 0: the port that the reply comes from
	Backend  *Backend
}

// Replies gives the replies of the frontend's backends. Without ports of the frontend they are 0 to 65535.
func (d *Frontend) Replies() []Reply {
	out := make([]Reply, 0, len(d.Farm.Backends))
	for i := range d.Farm.Backends {
		b := &d.Farm.Backends[i]
		if !b.Address.Has(d.Family) {
			continue
		}
		r := Reply{Frontend: d, Address: b.Address[d.Family], Ports: d.Ports, Backend: b}
		if d.Portless() {
			r.Ports = Ports{0, 65535}
			out = append(out, r)
			continue
		}
		for _, move := range b.Moves(d.Ports) {
			r.Ports, r.Port = move.To, 0
			if move.From != move.To {
				r.Port = move.From.First
			}
			out = append(out, r)
		}
	}
	return out
}

// Source gives the address and ports that the reply comes from, as a frontend.
func (r Reply) Source() Frontend {
	d := *r.Frontend
	d.Address, d.Ports, d.Specificity = r.Address, r.Ports, d.Specificity.Kind()
	return d
}

// AmbiguousReplies reports replies that could belong to two services. A reply carries the backend's address and port
// and nothing else, so in mode stateless each of them must lead back to one address and port.
func AmbiguousReplies(frontends []Frontend, faults *diag.Diagnostics) {
	if !slices.ContainsFunc(frontends, func(d Frontend) bool { return d.Farm.Mode == Stateless }) {
		return
	}
	all := repliesByPort(frontends)
	told := map[[2]*Listen]bool{}
	for _, protocol := range protocolsOf(all) {
		var address netip.Addr
		var before furthest
		for i := range all {
			r := &all[i]
			if !r.Frontend.Whole() && r.Frontend.Protocol != protocol {
				continue
			}
			if r.Address != address {
				address, before = r.Address, furthest{}
			}
			for _, other := range before.confusedWith(r) {
				if pair := [2]*Listen{other.Frontend.Listen, r.Frontend.Listen}; !told[pair] {
					told[pair] = true
					*faults = append(*faults, ambiguity(other, r))
				}
			}
			before.add(r)
		}
	}
}

// protocolsOf gives the protocols of the replies; all protocols count as the ones with ports.
func protocolsOf(all []Reply) []Protocol {
	out := []Protocol{TCP, UDP, SCTP}
	for _, r := range all {
		if p := r.Frontend.Protocol; p != "" && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// repliesByPort gives the replies of farms that translate addresses, by address and first port.
func repliesByPort(frontends []Frontend) []Reply {
	var all []Reply
	for i := range frontends {
		if d := &frontends[i]; d.Farm.Mode != DSR && d.Farm.Mode != Local {
			all = append(all, d.Replies()...)
		}
	}
	slices.SortStableFunc(all, func(a, b Reply) int {
		return cmp.Or(a.Address.Compare(b.Address), cmp.Compare(a.Ports.First, b.Ports.First))
	})
	return all
}

// furthest keeps the replies with the highest last ports, of one backend address and protocol, in the order of first
// ports: the highest of stateless farms, the highest of another service than that one, and the highest of farms with
// connection tracking. A reply that is confused with an earlier one is confused with one of these.
type furthest struct {
	stateless, another, tracked *Reply
}

func (f *furthest) add(r *Reply) {
	beyond := func(other *Reply) bool { return other == nil || r.Ports.Last > other.Ports.Last }
	switch {
	case r.Frontend.Farm.Mode != Stateless:
		if beyond(f.tracked) {
			f.tracked = r
		}
	case f.stateless != nil && !f.stateless.sameService(r):
		if beyond(f.stateless) {
			f.another, f.stateless = f.stateless, r
		} else if beyond(f.another) {
			f.another = r
		}
	case beyond(f.stateless):
		f.stateless = r
	}
}

// confusedWith gives the earlier replies that the reply, which begins at no lower port, could be taken for.
func (f *furthest) confusedWith(r *Reply) (out []*Reply) {
	for _, other := range []*Reply{f.stateless, f.another, f.tracked} {
		if other != nil && other.Ports.Last >= r.Ports.First && other.confuses(r) {
			out = append(out, other)
		}
	}
	return out
}

// confuses reports, for two replies of the same backend, protocol and port, whether one could be taken for the other.
func (r *Reply) confuses(o *Reply) bool {
	switch {
	case r.Frontend.Farm.Mode == Stateless && o.Frontend.Farm.Mode == Stateless:
		return !r.sameService(o)
	case r.Frontend.Farm.Mode == Stateless || o.Frontend.Farm.Mode == Stateless:
		return true
	}
	return false // conntrack tells them apart
}

func (r *Reply) sameService(o *Reply) bool {
	return r.Frontend.Address == o.Frontend.Address && r.Port == o.Port
}

func ambiguity(a, b *Reply) diag.Diagnostic {
	if b.Frontend.Farm.Mode != Stateless {
		a, b = b, a
	}
	d := diag.Diagnostic{
		Farm:  b.Frontend.Farm.Name,
		Place: b.Frontend.Listen.Place,
		Message: fmt.Sprintf("a reply of the backend %s could be one of %s or of %s, and mode stateless remembers "+
			"no connections",
			b.Source().where(), b.Frontend.where(), a.Frontend.where()),
		Hint: "another port on the backend for each service, or mode dnat",
	}
	if a.Frontend.Listen != b.Frontend.Listen {
		d.Also = []diag.Note{{Place: a.Frontend.Listen.Place,
			Message: "the other service, of the farm " + a.Frontend.Farm.Name}}
	}
	return d
}

// where gives the frontend's address, protocol and ports in words.
func (d Frontend) where() string {
	where := "every address of this machine"
	if d.Address.IsValid() {
		where = networkText(d.Network())
	}
	switch {
	case d.Whole():
		return where
	case d.Portless():
		return where + ", " + string(d.Protocol)
	}
	return where + ", " + string(d.Protocol) + " " + d.Ports.String()
}
