// Package announce keeps the routes that a routing daemon announces: a routing table of farmc's own with a route to
// each address that this machine serves. The daemon learns the table, and tells routers. The package knows farms and
// routes, and nothing of nft, loading or routing daemons.
//
// The routes are blackholes, and a rule looks them up before the table main. So packets that no farm has rewritten
// vanish: without the rules of farmc, clients send them again instead of getting a reset. A default route in the table
// stands for the replies of stateless farms, which routers must bring here. The rule suppresses it for packets of this
// machine; the kernel does not suppress blackholes (fib4_rule_suppress of net/ipv4/fib_rules.c), so it leads to the
// interface lo.
//
// announce.go has the routes, table.go writes them to the kernel, and replies.go drops replies of backends while the
// nft rules are gone.
package announce

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// A Route is an address or a network that this machine announces. The network of all addresses of a family stands for
// the replies of stateless farms.
type Route = netip.Prefix

// Routes returns the routes of farms, sorted.
func Routes(farms []*farm.Farm) []Route {
	var out []Route
	for _, f := range farms {
		for _, p := range f.Announced() {
			out = append(out, p)
			if f.Mode == farm.Stateless {
				out = append(out, allOf(p.Addr()))
			}
		}
	}
	return sorted(out)
}

// allOf returns the network of all addresses of the family of a.
func allOf(a netip.Addr) Route {
	if addr.FamilyOf(a) == addr.IP4 {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
}

func sorted(routes []Route) []Route {
	slices.SortFunc(routes, compareRoutes)
	return slices.Compact(routes)
}

func compareRoutes(a, b Route) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// Without returns the routes that are not among others. Both are sorted.
func Without(routes, others []Route) []Route {
	var out []Route
	for _, r := range routes {
		if _, among := slices.BinarySearchFunc(others, r, compareRoutes); !among {
			out = append(out, r)
		}
	}
	return out
}

// Word writes a route as ip-route(8) does: a network, or an address alone.
func Word(r Route) string {
	switch {
	case r.Bits() == 0:
		return "replies of stateless farms (" + r.String() + ")"
	case r.IsSingleIP():
		return r.Addr().String()
	}
	return r.String()
}

// Words writes the first routes, and the number of the others.
func Words(routes []Route) string {
	const maxItems = 4
	var words []string
	for _, r := range routes[:min(len(routes), maxItems)] {
		words = append(words, Word(r))
	}
	if more := len(routes) - maxItems; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, ", ")
}
