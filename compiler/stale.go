package compiler

import (
	"net/netip"
	"slices"
)

// Cuts tell which conntrack entries must not outlive a load. All connections to a backend that is down are cut, so that no
// packet goes on to a dead machine. A connection to a backend that is gone, or through a frontend that is gone, may finish
// if its protocol has connections that end; UDP has none, and would stay there for ever. The same holds for UDP from before
// the farm that serves its address now.
type Cuts struct {
	Servers  []netip.Addr // entries whose replies come from these have to be looked at,
	Services []netip.Addr // entries with these original destinations,
	Anywhere bool         // and all others, because a farm serves every address of this machine now

	before frontendIndex
	farms  []*Farm       // that are loaded now
	after  frontendIndex // of these, once a connection was looked at
	added  []Frontend
}

// NewCuts compares the farms that are loaded now with those that were before; nil if these are not known.
func NewCuts(before map[string]Description, after []*Farm) *Cuts {
	c := &Cuts{farms: after}
	now := map[string]*Farm{}
	for _, f := range after {
		now[f.Name] = f
	}
	for _, name := range Changed(before, Describe(after)) {
		was := before[name].Recall(name)
		c.before.add(was)
		c.compare(was, now[name])
	}
	c.Servers, c.Services = distinct(c.Servers), distinct(c.Services)
	if c.None() {
		return &Cuts{}
	}
	return c
}

// compare looks at the two states of a farm, each of which may be nil.
func (c *Cuts) compare(was, is *Farm) {
	gone := slices.ContainsFunc(trackedFrontends(was), func(d Frontend) bool {
		return !slices.ContainsFunc(trackedFrontends(is), d.SamePackets)
	})
	for _, b := range trackedBackends(was) {
		if gone || !slices.ContainsFunc(trackedBackends(is), b.SameServer) {
			c.Servers = append(c.Servers, b.Address.All()...)
		}
	}
	for _, b := range trackedBackends(is) {
		if b.State == Down {
			c.Servers = append(c.Servers, b.Address.All()...)
		}
	}
	for _, d := range trackedFrontends(is) {
		if !slices.ContainsFunc(trackedFrontends(was), d.SamePackets) {
			c.add(d)
		}
	}
}

// add notes a frontend that was not there before.
func (c *Cuts) add(d Frontend) {
	c.added = append(c.added, d)
	if d.Address.IsValid() {
		c.Services = append(c.Services, d.Address)
	} else {
		c.Anywhere = true
	}
}

// None reports whether no entry has to be looked at.
func (c *Cuts) None() bool { return len(c.Servers) == 0 && len(c.Services) == 0 && !c.Anywhere }

// Cut reports whether the connection has to go.
func (c *Cuts) Cut(of Connection) bool {
	if c.after == nil {
		c.after = frontendIndex{}
		for _, f := range c.farms {
			c.after.add(f)
		}
	}
	owner := c.after.frontend(of)
	if b := backendOf(owner, of); b != nil {
		return b.State == Down
	}
	switch {
	case of.ends():
		return false
	case owner != nil && slices.ContainsFunc(c.added, owner.SamePackets):
		return true
	}
	return backendOf(c.before.frontend(of), of) != nil
}

func distinct(addresses []netip.Addr) []netip.Addr {
	slices.SortFunc(addresses, netip.Addr.Compare)
	return slices.Compact(addresses)
}
