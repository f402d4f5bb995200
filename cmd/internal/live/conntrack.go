package live

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"farmc/cmd/internal/conntrack"
	"farmc/compiler/diag"
	"farmc/compiler/flows"
)

// cutConnections deletes the conntrack entries that are stale after a load, and returns the number of open connections
// among them. It runs after the load, so that a client that reconnects meets the new rules. Errors become a warning,
// because the rules are loaded.
func cutConnections(ctx context.Context, cuts *flows.Stale) (int, diag.Diagnostics) {
	var stale []conntrack.Entry
	err := dump(ctx, cuts, func(f conntrack.Entry) {
		if cuts.Contains(f.Connection()) {
			stale = append(stale, f)
		}
	})
	n := 0
	for _, f := range stale {
		if e := conntrack.Delete(f); e != nil {
			err = e
			continue
		}
		if !f.Closed {
			n++
		}
	}
	if err == nil {
		return n, nil
	}
	return n, diag.Diagnostics{{
		Severity: diag.Warning,
		Message:  fmt.Sprintf("connections to backends that are down or removed may continue: %v", err),
		Hint:     "conntrack -D -d ADDRESS deletes the connections to the address of a service",
	}}
}

// maxDumps is the number of addresses up to which the kernel is asked for each address. Each question is a walk through
// all entries; for more addresses one dump of all entries is cheaper.
const maxDumps = 16

// fewEntries is a number of entries that are read faster than the kernel walks through the empty buckets of a large
// machine a second time. An entry takes 6 µs at most, a walk 9 ms.
const fewEntries = 1000

// dump calls show for every entry that can be stale, for some of them more than once.
func dump(ctx context.Context, cuts *flows.Stale, show func(conntrack.Entry)) error {
	all := filters(cuts)
	if n, known := conntrack.Count(); known && n <= fewEntries && len(all) > 0 {
		return conntrack.DumpAll(ctx, show)
	}
	for _, filter := range all {
		err := conntrack.Dump(ctx, filter, func(f conntrack.Entry) bool { show(f); return true })
		if err != nil {
			return err
		}
	}
	return nil
}

// filters returns the filters of the dumps. Only IPv4 addresses are filtered: the kernel's filter for IPv6 addresses
// returns the entries that differ (seen on Linux 6.18: ctnetlink_filter_match_tuple takes the 0 of ipv6_addr_cmp, which
// means equal, for false).
func filters(cuts *flows.Stale) []conntrack.Filter {
	servers, services := ofIP4(cuts.Servers), ofIP4(cuts.Services)
	var out []conntrack.Filter
	if cuts.Anywhere || len(servers)+len(services) < len(cuts.Servers)+len(cuts.Services) {
		out = append(out, conntrack.Filter{Family: conntrack.IP6})
	}
	if cuts.Anywhere || len(servers)+len(services) > maxDumps {
		return append(out, conntrack.Filter{Family: conntrack.IP4})
	}
	for _, a := range servers {
		out = append(out, conntrack.Filter{ReplySource: a})
	}
	for _, a := range services {
		out = append(out, conntrack.Filter{OriginalDestination: a})
	}
	return out
}

func ofIP4(addresses []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(addresses), netip.Addr.Is6)
}
