package flows

import (
	"net/netip"
	"slices"

	"farmc/compiler/farm"
)

// A Stale tells which conntrack entries must not outlive a load:
//
//   - All connections to a backend that is down are cut, so that no packet goes on to a dead machine.
//   - Connections that a backend never answered are cut when it drains or is gone. They have nothing to finish, and a
//     client that repeats its first packet would stay with that backend for as long as it tries.
//   - A connection to a backend that is gone, or through a frontend that is gone, may finish if its protocol has
//     connections that end. UDP has none, and its entries would stay for ever, so they are cut.
//   - UDP entries from before the farm that serves their address now are cut for the same reason.
type Stale struct {
	Servers  []netip.Addr // entries with replies from these addresses have to be looked at,
	Services []netip.Addr // entries with these original destinations,
	Anywhere bool         // and all others, because a farm serves every address of this machine, or a network, now

	before frontendIndex
	farms  []*farm.Farm   // that are loaded now
	after  *frontendIndex // of these; nil until a connection is looked at
	added  []farm.Frontend
}

// NewStale takes the difference between the farms before and the farms that are loaded now.
func NewStale(d *farm.Difference) *Stale {
	s := &Stale{farms: d.Farms()}
	for _, name := range d.Names {
		was := d.Before(name)
		s.before.add(was)
		s.compare(was, d.After(name))
	}
	s.Servers, s.Services = distinct(s.Servers), distinct(s.Services)
	if s.None() {
		return &Stale{}
	}
	return s
}

// compare looks at the two states of a farm, each of which may be nil.
func (s *Stale) compare(was, is *farm.Farm) {
	gone := slices.ContainsFunc(trackedFrontends(was), func(d farm.Frontend) bool {
		return !slices.ContainsFunc(trackedFrontends(is), d.SamePackets)
	})
	for _, b := range trackedBackends(was) {
		if gone || !slices.ContainsFunc(trackedBackends(is), b.SameServer) {
			s.Servers = append(s.Servers, b.Address.All()...)
		}
	}
	for _, b := range trackedBackends(is) {
		if b.State == farm.Down || b.State == farm.Drain && !drained(was, b) {
			s.Servers = append(s.Servers, b.Address.All()...)
		}
	}
	for _, d := range trackedFrontends(is) {
		if !slices.ContainsFunc(trackedFrontends(was), d.SamePackets) {
			s.add(d)
		}
	}
}

// drained reports whether the backend drained already in a farm's earlier state.
func drained(was *farm.Farm, b farm.Backend) bool {
	return slices.ContainsFunc(trackedBackends(was), func(o farm.Backend) bool {
		return o.State == farm.Drain && o.SameServer(b)
	})
}

// add notes a frontend that was not there before.
func (s *Stale) add(d farm.Frontend) {
	s.added = append(s.added, d)
	if d.Network().IsSingleIP() {
		s.Services = append(s.Services, d.Address)
	} else {
		s.Anywhere = true
	}
}

// None reports whether no entry has to be looked at.
func (s *Stale) None() bool { return len(s.Servers) == 0 && len(s.Services) == 0 && !s.Anywhere }

// Contains reports whether the connection has to go.
func (s *Stale) Contains(of Connection) bool {
	if s.after == nil {
		s.after = &frontendIndex{}
		for _, f := range s.farms {
			s.after.add(f)
		}
	}
	owner := s.after.frontend(of)
	if b := backendOf(owner, of); b != nil {
		return b.State == farm.Down || b.State == farm.Drain && !of.Answered
	}
	switch {
	case of.ends() && of.Answered:
		return false
	case owner != nil && slices.ContainsFunc(s.added, owner.SamePackets):
		return true
	}
	return backendOf(s.before.frontend(of), of) != nil
}

func distinct(addresses []netip.Addr) []netip.Addr {
	slices.SortFunc(addresses, netip.Addr.Compare)
	return slices.Compact(addresses)
}
