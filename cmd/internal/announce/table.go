package announce

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// DefaultTable is the number of the routing table. FRR 8.4 refuses 252.
const DefaultTable Table = 251

// A Table is the number of a routing table that farmc alone writes, from 1 to 252.
type Table uint32

// protocol marks routes and routing rules of farmc, see rtm_protocol in rtnetlink(7).
const protocol netlink.RouteProtocol = 251

// rulePriority is the preference of the rule for the table: before main (32766), after local (0).
const rulePriority = 1000

var families = [...]int{netlink.FAMILY_V4, netlink.FAMILY_V6}

// Routes returns the routes of farmc in the table, sorted.
func (t Table) Routes() ([]Route, error) {
	kernel, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer kernel.Close()
	// Other tables can have a million routes: the kernel leaves them out only if asked strictly (Linux 4.20).
	if err := kernel.SetStrictCheck(true); err != nil {
		return nil, err
	}
	var out []Route
	for _, family := range families {
		routes, err := kernel.RouteListFiltered(family, &netlink.Route{Table: int(t), Protocol: protocol},
			netlink.RT_FILTER_TABLE|netlink.RT_FILTER_PROTOCOL)
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EAFNOSUPPORT) { // there is no such table
			return nil, fmt.Errorf("read routing table %d: %w", t, err)
		}
		for _, r := range routes {
			out = append(out, prefixOf(&r, family))
		}
	}
	return sorted(out), nil
}

// prefixOf returns the destination of a route. The default route has none.
func prefixOf(r *netlink.Route, family int) Route {
	if r.Dst == nil {
		if family == netlink.FAMILY_V4 {
			return allOf(netip.IPv4Unspecified())
		}
		return allOf(netip.IPv6Unspecified())
	}
	a, _ := netip.AddrFromSlice(r.Dst.IP)
	bits, _ := r.Dst.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), bits)
}

// Add adds routes, and before them the rule of their family. A route that exists stays.
func (t Table) Add(routes []Route) error {
	var failed []error
	for _, family := range families {
		if slices.ContainsFunc(routes, func(r Route) bool { return familyOf(r) == family }) {
			failed = append(failed, t.addRule(family))
		}
	}
	for _, r := range routes {
		if err := netlink.RouteReplace(t.route(r)); err != nil {
			failed = append(failed, fmt.Errorf("add a route to %s to routing table %d: %w", r, t, err))
		}
	}
	return errors.Join(failed...)
}

// Remove removes routes. Ones that are gone already are no error.
func (t Table) Remove(routes []Route) error {
	var failed []error
	for _, r := range routes {
		if err := netlink.RouteDel(t.route(r)); err != nil && !errors.Is(err, unix.ESRCH) {
			failed = append(failed, fmt.Errorf("remove the route to %s from routing table %d: %w", r, t, err))
		}
	}
	return errors.Join(failed...)
}

// Clear removes all routes of farmc, and all routing rules.
func (t Table) Clear() error {
	routes, err := t.Routes()
	if err != nil {
		return err
	}
	return errors.Join(t.Remove(routes), t.removeRules(), PassReplies())
}

// route is the kernel's form of a route: a blackhole, and for all addresses a route to lo.
func (t Table) route(r Route) *netlink.Route {
	a := r.Addr()
	out := &netlink.Route{Table: int(t), Protocol: protocol, LinkIndex: loopback,
		Dst: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(r.Bits(), a.BitLen())}}
	switch {
	case r.Bits() > 0:
		out.Type = unix.RTN_BLACKHOLE
		if a.Is4() {
			out.LinkIndex = 0 // EINVAL otherwise (fib_create_info of net/ipv4/fib_semantics.c)
		}
	case a.Is4():
		out.Scope = netlink.SCOPE_LINK
	}
	return out
}

// loopback is the index of the interface lo in each network namespace.
const loopback = 1

func familyOf(r Route) int {
	if r.Addr().Is4() {
		return netlink.FAMILY_V4
	}
	return netlink.FAMILY_V6
}

// addRule adds the rule of a family unless it exists. It removes the one of farmc up to 0.2.0, without a protocol.
func (t Table) addRule(family int) error {
	rule := t.rule(family)
	rule.Protocol = uint8(protocol)
	if err := netlink.RuleAdd(rule); errors.Is(err, unix.EEXIST) {
		return nil
	} else if err != nil {
		return fmt.Errorf("add the rule for routing table %d: %w", t, err)
	}
	all, err := netlink.RuleListFiltered(family, rule, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_PRIORITY)
	if err == nil && len(all) > 1 && all[0].Protocol == unix.RTPROT_UNSPEC {
		err = netlink.RuleDel(t.rule(family)) // the first one
	}
	if err != nil {
		return fmt.Errorf("remove the older rule for routing table %d: %w", t, err)
	}
	return nil
}

func (t Table) removeRules() error {
	for _, family := range families {
		var err error
		for err == nil {
			err = netlink.RuleDel(t.rule(family))
		}
		if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EAFNOSUPPORT) {
			return fmt.Errorf("remove the rule for routing table %d: %w", t, err)
		}
	}
	return nil
}

// rule looks the table up for all packets, its default route aside. It is of any protocol.
func (t Table) rule(family int) *netlink.Rule {
	r := netlink.NewRule()
	r.Family, r.Priority, r.Table, r.SuppressPrefixlen = family, rulePriority, int(t), 0
	return r
}
