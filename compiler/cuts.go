package compiler

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Cuts tell which tracked connections must not outlive a load. All to a backend that is down are cut, so that nothing
// keeps going to a dead machine. What was sent to a backend that is gone, or through a door that is gone, may finish if
// it is of a protocol whose connections end; UDP has none, and would stay there for ever. So would UDP from before the
// farm that serves its address now.
type Cuts struct {
	Servers  []netip.Addr // connections to these have to be looked at
	Services []netip.Addr // and those that were opened to these
	Anywhere bool         // and all others: a farm serves every address of this machine now

	before frontendIndex
	farms  []*Farm       // that are loaded now
	after  frontendIndex // of these, once a connection was looked at
	fresh  []Frontend
}

// A Connection is what connection tracking knows of one.
type Connection struct {
	Protocol   int            // its number (IANA)
	To         netip.AddrPort // what the client opened it to; port 0 where there are none
	Server     netip.AddrPort // who answers
	Translated bool           // its destination was rewritten
}

// NewCuts compares what is loaded now with what was before; nil stands for not known.
func NewCuts(before map[string]Facts, after []*Farm) *Cuts {
	c := &Cuts{farms: after}
	now := map[string]*Farm{}
	for _, f := range after {
		now[f.Name] = f
	}
	for _, name := range differing(before, FactsOf(after)) {
		var was *Farm
		if facts, known := before[name]; known {
			was = recalled(name, facts.finding())
		}
		c.before.add(was)
		c.compare(was, now[name])
	}
	c.Servers, c.Services = distinct(c.Servers), distinct(c.Services)
	if c.None() {
		return &Cuts{}
	}
	return c
}

// compare looks at the two states of a farm, either of which may be nil.
func (c *Cuts) compare(was, is *Farm) {
	gone := slices.ContainsFunc(was.tracks(), func(d Frontend) bool { return !slices.ContainsFunc(is.tracks(), d.SamePackets) })
	for _, b := range was.servers() {
		if gone || !slices.ContainsFunc(is.servers(), b.serverOf) {
			c.Servers = append(c.Servers, b.Address.all()...)
		}
	}
	for _, b := range is.servers() {
		if b.State == Down {
			c.Servers = append(c.Servers, b.Address.all()...)
		}
	}
	for _, d := range is.tracks() {
		if slices.ContainsFunc(was.tracks(), d.SamePackets) {
			continue
		}
		c.fresh = append(c.fresh, d)
		if d.Address.IsValid() {
			c.Services = append(c.Services, d.Address)
		} else {
			c.Anywhere = true
		}
	}
}

// None says whether there is nothing to look at.
func (c *Cuts) None() bool { return len(c.Servers) == 0 && len(c.Services) == 0 && !c.Anywhere }

// Cut says whether the connection has to go.
func (c *Cuts) Cut(of Connection) bool {
	if c.after == nil {
		c.after = frontendIndex{}
		for _, f := range c.farms {
			c.after.add(f)
		}
	}
	owner := c.after.door(of)
	if server := owner.server(of); server != nil {
		return server.State == Down
	}
	switch {
	case of.ends():
		return false
	case owner != nil && slices.ContainsFunc(c.fresh, owner.SamePackets):
		return true
	}
	return c.before.door(of).server(of) != nil
}

// server gives the backend that answers a connection that came in by the door, nil if none of its farm's does.
func (d *Frontend) server(of Connection) *Backend {
	if d == nil || !of.Translated {
		return nil
	}
	for i, b := range d.Farm.Backends {
		if b.answers(of) {
			return &d.Farm.Backends[i]
		}
	}
	return nil
}

// ends says whether the protocol has connections, which come to an end.
func (of Connection) ends() bool { return of.Protocol == TCP.number() || of.Protocol == SCTP.number() }

// answers says whether the backend is the connection's server.
func (b Backend) answers(of Connection) bool {
	port := b.Port
	if port == 0 {
		port = of.To.Port()
	}
	return b.Address[familyOf(of.Server.Addr())] == of.Server.Addr() && of.Server.Port() == port
}

// serverOf says whether two backends are the same server, whatever their names.
func (b Backend) serverOf(other Backend) bool {
	return b.Address == other.Address && b.Port == other.Port
}

// all gives the addresses that there are.
func (a Addresses) all() []netip.Addr {
	return slices.DeleteFunc(a[:], func(a netip.Addr) bool { return !a.IsValid() })
}

// tracks gives the doors whose connections are tracked and translated; none of a farm that isn't, is down or isn't
// there.
func (f *Farm) tracks() []Frontend {
	if f == nil || f.Down || f.Mode != SNAT && f.Mode != DNAT {
		return nil
	}
	return f.Frontends()
}

// servers gives the backends of a farm whose connections are tracked.
func (f *Farm) servers() []Backend {
	if len(f.tracks()) == 0 {
		return nil
	}
	return f.Backends
}

// frontendIndex are doors by their address, the more particular ones first; those of every address have none.
type frontendIndex map[netip.Addr][]Frontend

func (p *frontendIndex) add(f *Farm) {
	if *p == nil {
		*p = frontendIndex{}
	}
	for _, d := range f.tracks() {
		(*p)[d.Address] = append((*p)[d.Address], d)
	}
}

// door gives the most particular door that the connection was opened to, nil if there is none.
func (p frontendIndex) door(of Connection) *Frontend {
	for _, at := range []netip.Addr{of.To.Addr(), {}} {
		var found *Frontend
		for i, d := range p[at] {
			if d.takes(of) && (found == nil || d.Specificity < found.Specificity) {
				found = &p[at][i]
			}
		}
		if found != nil {
			return found
		}
	}
	return nil
}

// takes says whether the connection, opened to the door's address, came in by it.
func (d Frontend) takes(of Connection) bool {
	return d.Family == familyOf(of.To.Addr()) && (d.Specificity == WholeAddress ||
		d.Protocol.number() == of.Protocol && d.Ports.First <= of.To.Port() && of.To.Port() <= d.Ports.Last)
}

func distinct(addresses []netip.Addr) []netip.Addr {
	slices.SortFunc(addresses, netip.Addr.Compare)
	return slices.Compact(addresses)
}

// recalled is the farm as far as its facts tell how its connections went, nil where they don't.
func recalled(name string, facts finding) *Farm {
	f := &Farm{Name: name, Mode: Mode(facts.Farm["mode"]), Down: facts.Farm["state"] == "down"}
	for _, word := range strings.Fields(facts.Farm["listen"]) {
		l, err := parseListen(word)
		if err != nil {
			return nil // of another version
		}
		f.Listen = append(f.Listen, l)
	}
	for _, about := range facts.Backends {
		f.Backends = append(f.Backends, recalledBackend(about))
	}
	return f
}

func recalledBackend(about map[string]string) Backend {
	b := Backend{State: State(about["state"])}
	for _, word := range strings.Split(about["address"], ", ") {
		if a, err := netip.ParseAddr(word); err == nil {
			b.Address[familyOf(a)] = a
		}
	}
	port, _ := strconv.ParseUint(about["port"], 10, 16)
	b.Port = uint16(port)
	return b
}
