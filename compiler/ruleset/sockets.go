package ruleset

import (
	"encoding/binary"
	"net/netip"
)

// A socketSet is a set of addresses and ports of backends.
type socketSet map[netip.AddrPort]struct{}

// add adds sockets, and gives the indexes of the ones that were not in the set.
func (s socketSet) add(sockets []netip.AddrPort) (added []int) {
	for i, at := range sockets {
		if _, known := s[at]; !known {
			s[at] = struct{}{}
			added = append(added, i)
		}
	}
	return added
}

// socketCounts count the frontends with invalid segments to drop, by the addresses and ports that their backends answer
// from. They are kept from one script to the next: to find the sockets that several frontends have among 100,000 takes
// a fifth of the time of a script, and nearly no change of a farm concerns them. The zero socketCounts are empty.
type socketCounts struct {
	ip4     map[uint64]int32 // by address and port: numbers are found in half the time, and have no pointers
	ip6     map[netip.AddrPort]int32
	version int // another one when other sockets have several frontends
}

// A socketSharing tells whether a service has a socket that stands in several frontends.
type socketSharing struct {
	version int // of the socketCounts
	shared  bool
}

// update replaces services by others.
func (c *socketCounts) update(gone, come []*service) {
	if c.ip4 == nil {
		c.ip4, c.ip6 = map[uint64]int32{}, map[netip.AddrPort]int32{}
	}
	if len(gone) == 0 {
		eachSocket(come, func(at netip.AddrPort) { c.add(at, 1) })
		return
	}
	change := map[netip.AddrPort]int32{}
	eachSocket(gone, func(at netip.AddrPort) { change[at]-- })
	eachSocket(come, func(at netip.AddrPort) { change[at]++ })
	for at, n := range change {
		c.add(at, n)
	}
}

// eachSocket calls do for each socket of each frontend with invalid segments to drop.
func eachSocket(services []*service, do func(netip.AddrPort)) {
	for _, s := range services {
		if !s.dropsInvalid() {
			continue
		}
		for i := range s.frontends {
			if d := &s.frontends[i]; d.takesTCP() {
				for _, at := range d.replySources().sockets {
					do(at)
				}
			}
		}
	}
}

// add adds n to the count of a socket.
func (c *socketCounts) add(at netip.AddrPort, n int32) {
	before := c.of(at)
	now := before + n
	if (before > 1) != (now > 1) {
		c.version++
	}
	switch key := ip4Socket(at); {
	case !at.Addr().Is4() && now == 0:
		delete(c.ip6, at)
	case !at.Addr().Is4():
		c.ip6[at] = now
	case now == 0:
		delete(c.ip4, key)
	default:
		c.ip4[key] = now
	}
}

func (c *socketCounts) of(at netip.AddrPort) int32 {
	if at.Addr().Is4() {
		return c.ip4[ip4Socket(at)]
	}
	return c.ip6[at]
}

// ip4Socket is an IPv4 address and a port as a number; 0 of IPv6.
func ip4Socket(at netip.AddrPort) uint64 {
	if !at.Addr().Is4() {
		return 0
	}
	b := at.Addr().As4()
	return uint64(binary.BigEndian.Uint32(b[:]))<<16 | uint64(at.Port())
}

// shared reports whether another frontend may have a socket of the service.
func (c *socketCounts) shared(s *service) bool {
	if s.sharing.version != c.version+1 { // of a new service it is 0
		s.sharing = socketSharing{version: c.version + 1}
		eachSocket([]*service{s}, func(at netip.AddrPort) { s.sharing.shared = s.sharing.shared || c.of(at) > 1 })
	}
	return s.sharing.shared
}
