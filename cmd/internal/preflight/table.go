package preflight

import (
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A table has the routes of a family, so that the routes to 100,000 backends are found without 100,000 questions to the
// kernel, which take 5 s.
type table struct {
	routes  map[netip.Prefix]tableRoute
	lengths []int // of the prefixes in use, the longest first
}

type tableRoute struct {
	route
	isLocal  bool // of the table local, which comes first
	priority int  // the smallest one counts
	toLink   bool // the destination itself is the next hop
}

// readTable reads the tables local and main. It returns nil if they do not decide alone, because there are other rules
// for routes, too many routes, or routes of a kind that only the kernel knows.
func readTable(family int) *table {
	rules, err := netlink.RuleList(family)
	if err != nil || !areUsual(rules) {
		return nil
	}
	t := &table{routes: map[netip.Prefix]tableRoute{}}
	for _, id := range []int{unix.RT_TABLE_LOCAL, unix.RT_TABLE_MAIN} {
		n, simple := 0, true
		err := netlink.RouteListFilteredIter(family, &netlink.Route{Table: id}, netlink.RT_FILTER_TABLE,
			func(r netlink.Route) bool {
				n++
				simple = n < maxRoutes && t.add(r, family, id == unix.RT_TABLE_LOCAL)
				return simple
			})
		if err != nil || !simple {
			return nil
		}
	}
	used := map[int]bool{}
	for p := range t.routes {
		used[p.Bits()] = true
	}
	for bits := 128; bits >= 0; bits-- {
		if used[bits] {
			t.lengths = append(t.lengths, bits)
		}
	}
	return t
}

// areUsual reports whether the kernel made all of the rules: tables local, main and default for all packets.
func areUsual(rules []netlink.Rule) bool {
	for _, r := range rules {
		usual := r.Table == unix.RT_TABLE_LOCAL && r.Priority <= 0 ||
			r.Table == unix.RT_TABLE_MAIN && r.Priority == 32766 ||
			r.Table == unix.RT_TABLE_DEFAULT && r.Priority == 32767
		if !usual || r.Src != nil || r.Dst != nil || r.IifName != "" || r.OifName != "" || r.Mark != 0 || r.Invert {
			return false
		}
	}
	return true
}

// add adds a route, and reports whether its kind is known.
func (t *table) add(r netlink.Route, family int, isLocal bool) bool {
	to, ok := prefixOf(r, family)
	if !ok || r.Tos != 0 || r.Encap != nil || r.MPLSDst != nil {
		return false
	}
	if r.Flags&unix.RTNH_F_DEAD != 0 {
		return true
	}
	if len(r.MultiPath) > 0 {
		r.LinkIndex, r.Gw, r.Via = r.MultiPath[0].LinkIndex, r.MultiPath[0].Gw, r.MultiPath[0].Via
	}
	entry := tableRoute{route: route{kind: destinationOf(r), link: r.LinkIndex}, isLocal: isLocal, priority: r.Priority}
	gateway, hasGateway := netip.AddrFromSlice(r.Gw)
	if entry.next = gateway.Unmap(); !hasGateway {
		entry.toLink = true
	}
	if r.Via != nil || r.Type == unix.RTN_UNICAST && r.LinkIndex == 0 || r.Type == unix.RTN_THROW {
		return false
	}
	old, exists := t.routes[to]
	if !exists || isLocal == old.isLocal && entry.priority < old.priority {
		t.routes[to] = entry
	}
	return true
}

// prefixOf is the destination of a route; a default route has none.
func prefixOf(r netlink.Route, family int) (netip.Prefix, bool) {
	if r.Dst == nil {
		if family == netlink.FAMILY_V6 {
			return netip.PrefixFrom(netip.IPv6Unspecified(), 0), true
		}
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0), true
	}
	a, ok := netip.AddrFromSlice(r.Dst.IP)
	bits, size := r.Dst.Mask.Size()
	if family == netlink.FAMILY_V4 {
		a = a.Unmap()
	}
	return netip.PrefixFrom(a, bits), ok && a.BitLen() == size
}

// lookUp finds the route with the longest prefix. The table local comes first.
func (t *table) lookUp(a netip.Addr) route {
	var found *tableRoute
	for _, bits := range t.lengths {
		if bits > a.BitLen() {
			continue
		}
		to, _ := a.Prefix(bits)
		r, ok := t.routes[to]
		if ok && (found == nil || r.isLocal && !found.isLocal) {
			found = &r
		}
	}
	if found == nil {
		return route{kind: nowhere}
	}
	out := found.route
	switch {
	case out.kind == nowhere:
		return route{kind: nowhere}
	case found.toLink:
		out.next = a
	}
	return out
}
