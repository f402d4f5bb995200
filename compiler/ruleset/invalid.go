package ruleset

import (
	"cmp"
	"net/netip"
	"slices"

	"farmc/compiler/farm"
)

// Conntrack calls a TCP segment beyond the window invalid, and NAT does not translate it. The machine that it reaches
// answers with a reset that fits, and the connection ends. So invalid segments are dropped: of clients to the services
// of farms, and of backends, which come to this machine's own address in mode snat, and are forwarded in mode dnat.

// invalidHook drops the segments that come to this machine.
var invalidHook = baseChain{name: "invalid-input", section: invalidSection, prefix: "invalid-", any: "invalid-any"}

// An invalidChain drops segments that come in by some interfaces, or from some ports.
type invalidChain struct {
	Only  []string
	Ports []farm.Ports
}

// dropInvalid has invalid segments of the frontends' farms dropped.
func (l *linker) dropInvalid(tracked []frontend) {
	tcp := slices.DeleteFunc(slices.Clone(tracked), func(d frontend) bool {
		return d.Protocol != farm.TCP && d.Specificity != farm.WholeAddress
	})
	input := l.dispatch(invalidHook, tcp, l.invalidOfClients)
	if input == nil {
		return
	}
	l.invalidOfBackends(&input.Sources, "invalid-back-", tcp, func(s *service) bool { return s.Mode == farm.SNAT })
	forward := &hook{Name: "invalid-forward", Maps: input.Maps}
	local := false
	l.invalidOfBackends(&forward.Sources, "invalid-forward-", tcp, func(s *service) bool {
		local = local || s.Mode == farm.DNAT && s.LocalClients
		return s.Mode == farm.DNAT
	})
	if local { // backends in mode dnat answer this machine, too
		input.Sources = append(input.Sources, forward.Sources...)
	}
	if len(forward.Sources) > 0 {
		l.rules.add(newChain(forward.Name, invalidSection, forward.Name).with(forward))
	}
}

func (s *service) dropsInvalid() bool {
	return slices.Contains([]farm.Mode{farm.SNAT, farm.DNAT}, s.Mode) && !s.PassInvalid
}

// invalidOfClients gives the verdict on segments of clients.
func (l *linker) invalidOfClients(d frontend) verdict {
	switch {
	case !d.farm.dropsInvalid():
		return noVerdict
	case len(d.farm.Interfaces) == 0:
		return drop
	}
	inside := d.farm.Interfaces
	return l.invalidChain("invalid-inside/"+shortened(inside, maxPartName), invalidChain{Only: l.only(inside)})
}

func (l *linker) invalidChain(name string, c invalidChain) verdict {
	l.rules.add(newChain(name, invalidSection, "drop-invalid").with(c))
	return goTo(name)
}

// invalidOfBackends adds the backends of farms to maps. Single ports stand in the keys. Of ranges each backend has one
// element, which leads to a chain that compares the ports: a map of intervals takes the kernel quadratic time to load.
func (l *linker) invalidOfBackends(maps *[]*dispatchMap, prefix string, frontends []frontend, of func(*service) bool) {
	at := mapPlace{Inet, invalidSection, prefix, ""}
	known := make(map[netip.AddrPort]bool, countSockets(frontends))
	ranges := map[netip.Addr][]farm.Ports{}
	var ranged []reply
	for i := range frontends {
		d := &frontends[i]
		if !d.farm.dropsInvalid() || !of(d.farm) {
			continue
		}
		l.invalidOfSockets(maps, at, *d, known)
		for _, r := range d.replySources().ranged {
			if ranges[r.Address] == nil {
				ranged = append(ranged, reply{r, d})
			}
			ranges[r.Address] = append(ranges[r.Address], r.Ports)
		}
	}
	for _, r := range ranged {
		v := l.invalidPorts(joinedPorts(ranges[r.Address]))
		l.addElement(maps, at, r.fromTCP(farm.WholeAddress), r.invalidElement(farm.WholeAddress, v))
	}
}

// countSockets counts the sockets of backends that answer from single ports.
func countSockets(frontends []frontend) (sum int) {
	for _, d := range frontends {
		sum += len(d.replySources().sockets)
	}
	return sum
}

// invalidOfSockets adds the backends that answer from single ports, except for known ones. Mostly none is known, and
// the frontend's piece has them all.
func (l *linker) invalidOfSockets(maps *[]*dispatchMap, at mapPlace, d frontend, known map[netip.AddrPort]bool) {
	sockets := d.replySources().sockets
	added := addUnknown(known, sockets)
	if len(added) == 0 {
		return
	}
	var p *piece
	if len(added) == len(sockets) {
		p = d.piece(invalidPiece, d.invalidElements)
	} else {
		all := d.invalidElements()
		some := make([]element, len(added))
		for i, n := range added {
			some[i] = all[n]
		}
		p = newPiece(some)
	}
	d.Specificity, d.Protocol = farm.ExactPort, farm.TCP
	m := l.dispatchMap(maps, at, d)
	m.elements.pieces = append(m.elements.pieces, p)
	m.Protocols.add(farm.TCP)
}

// addUnknown adds sockets to the known ones. It gives the indexes of the ones that were not known.
func addUnknown(known map[netip.AddrPort]bool, sockets []netip.AddrPort) []int {
	added := make([]int, 0, len(sockets))
	for i, s := range sockets {
		before := len(known)
		if known[s] = true; len(known) > before { // one lookup
			added = append(added, i)
		}
	}
	return added
}

// invalidElements are the backends that answer from single ports.
func (d frontend) invalidElements() (out []element) {
	for _, r := range d.Replies() {
		if r.Ports.Single() {
			out = append(out, reply{r, &d}.invalidElement(farm.ExactPort, drop))
		}
	}
	return out
}

func (r reply) invalidElement(at farm.Specificity, v verdict) element {
	return element{key: r.fromTCP(at).key(), value: string(v), origin: r.to.farm.backendOrigin(*r.Backend),
		commented: true}
}

// fromTCP is the backend as a frontend of TCP.
func (r reply) fromTCP(at farm.Specificity) frontend {
	d := r.from()
	d.Specificity, d.Protocol = at, farm.TCP
	return d
}

// invalidPorts gives the verdict on segments from the ports.
func (l *linker) invalidPorts(ports []farm.Ports) verdict {
	if slices.Contains(ports, farm.Ports{First: 0, Last: 65535}) {
		return drop
	}
	words := make([]string, len(ports))
	for i, p := range ports {
		words[i] = p.String()
	}
	return l.invalidChain("invalid-ports/"+shortened(words, maxPartName), invalidChain{Ports: ports})
}

// joinedPorts gives the same ports in the fewest ranges, in order.
func joinedPorts(all []farm.Ports) (out []farm.Ports) {
	slices.SortFunc(all, func(a, b farm.Ports) int { return cmp.Compare(a.First, b.First) })
	for _, p := range all {
		if n := len(out); n > 0 && int(p.First) <= int(out[n-1].Last)+1 {
			out[n-1].Last = max(out[n-1].Last, p.Last)
		} else {
			out = append(out, p)
		}
	}
	return out
}
