package machine

import (
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ranges divide all addresses at the borders of the destinations of routes, in all tables, and of rules for routes. All
// addresses of a range are in the same destinations, so the kernel finds the same route for them, whichever rules,
// metrics and states of links it looks at.
type ranges struct {
	starts []netip.Addr // the first address of each range, in order
	shared map[nextHop]bool
}

// A nextHop is an interface, and a router or "". The next hops of a route with several ones are shared: another address
// of its destination can have another one.
type nextHop struct {
	family, link int
	router       string
}

func nextHopOf(r netlink.Route) nextHop { return nextHop{r.Family, r.LinkIndex, string(r.Gw)} }

// maxRoutes is the maximum number of routes that are read. They take 0.1 s. A router with the routes of the internet
// has a million.
const maxRoutes = 20_000

// readRanges reads the routes and the rules. It returns nil if there are too many routes, or some that are not
// understood.
func readRanges() *ranges {
	r := &ranges{shared: map[nextHop]bool{}}
	for family, first := range map[int]netip.Addr{
		netlink.FAMILY_V4: netip.IPv4Unspecified(), netlink.FAMILY_V6: netip.IPv6Unspecified(),
	} {
		r.starts = append(r.starts, first)
		if !r.readRules(family) || !r.readRoutes(family) {
			return nil
		}
	}
	slices.SortFunc(r.starts, netip.Addr.Compare)
	r.starts = slices.Compact(r.starts)
	return r
}

func (r *ranges) readRules(family int) bool {
	rules, err := netlink.RuleList(family)
	for _, rule := range rules {
		r.add(rule.Dst)
	}
	return err == nil
}

// readRoutes reads the routes of all tables.
func (r *ranges) readRoutes(family int) bool {
	understood := true
	metrics := map[metric]nextHop{}
	err := netlink.RouteListFilteredIter(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE,
		func(route netlink.Route) bool {
			understood = len(r.starts) < 2*maxRoutes && (route.Type != unix.RTN_UNICAST || hasNextHop(route))
			r.add(route.Dst)
			r.share(route, metrics)
			return understood
		})
	return err == nil && understood
}

// hasNextHop reports whether a route has its next hops, and not just the number of a nexthop object
// (nexthop_compat_mode is 0).
func hasNextHop(r netlink.Route) bool { return r.LinkIndex != 0 || len(r.MultiPath) > 0 }

// A metric is a destination with a metric in a table. Several IPv6 routes of one metric are one route with several next
// hops.
type metric struct {
	to              netip.Prefix
	table, priority int
}

// share notes the next hops of a route with several ones.
func (r *ranges) share(route netlink.Route, metrics map[metric]nextHop) {
	for _, n := range route.MultiPath {
		r.shared[nextHop{route.Family, n.LinkIndex, string(n.Gw)}] = true
	}
	of := metric{prefixOf(route.Dst), route.Table, route.Priority}
	if route.Family != netlink.FAMILY_V6 || route.Type != unix.RTN_UNICAST || isOfEachLink(of.to.Addr()) {
		return
	}
	if first, second := metrics[of]; second {
		r.shared[first], r.shared[nextHopOf(route)] = true, true
	}
	metrics[of] = nextHopOf(route)
}

// isOfEachLink reports whether every interface has a route to the network.
func isOfEachLink(network netip.Addr) bool {
	return network.IsLinkLocalUnicast() || network.IsMulticast()
}

// prefixOf converts a destination. The one of a default route can be nil, and is not valid then.
func prefixOf(to *net.IPNet) netip.Prefix {
	if to == nil {
		return netip.Prefix{}
	}
	a, _ := netip.AddrFromSlice(to.IP)
	bits, width := to.Mask.Size()
	if width == 32 {
		a = a.Unmap()
	}
	return netip.PrefixFrom(a, bits)
}

// add adds the borders of a destination: its first address, and the one after its last.
func (r *ranges) add(to *net.IPNet) {
	p := prefixOf(to)
	if p.Bits() <= 0 { // all addresses
		return
	}
	r.starts = append(r.starts, p.Masked().Addr())
	last := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < p.Addr().BitLen(); bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	if a, _ := netip.AddrFromSlice(last); a.Next().IsValid() {
		r.starts = append(r.starts, a.Next())
	}
}

// of gives the index of an address's range.
func (r *ranges) of(a netip.Addr) int {
	i, found := slices.BinarySearchFunc(r.starts, a, netip.Addr.Compare)
	if !found {
		i--
	}
	return i
}
