package live

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"farmc/cmd/internal/conntrack"
	"farmc/compiler"
	"farmc/compiler/diag"
)

// cut has connection tracking forget what must not outlive a load, and gives how many open connections that were. It is done
// once the rules are loaded, so that whoever comes back meets the new ones; what goes wrong is a warning, as they are.
func cutConnections(ctx context.Context, cuts *compiler.Cuts) (int, diag.Diagnostics) {
	var stale []conntrack.Entry
	err := dump(ctx, cuts, func(f conntrack.Entry) bool {
		if cuts.Cut(compiler.Connection{Protocol: f.Protocol, To: f.OriginalDestination, Server: f.ReplySource, Translated: f.DestinationNAT}) {
			stale = append(stale, f)
		}
		return true
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
		Message:  fmt.Sprintf("connections to backends that are down, or gone, may go on: %v", err),
		Hint:     "conntrack -D -d ADDRESS cuts those to the address of a service",
	}}
}

// mostWalks is how often the kernel is asked for the connections of one address, each time a walk through all of them,
// before it is asked for all.
const maxDumps = 16

// look shows every connection in question, some more than once.
func dump(ctx context.Context, cuts *compiler.Cuts, show func(conntrack.Entry) bool) error {
	for _, filter := range filters(cuts) {
		if err := conntrack.Dump(ctx, filter, show); err != nil {
			return err
		}
	}
	return nil
}

// sights are by address in IPv4 alone: the kernel's filter of IPv6 addresses gives those that differ (tried on Linux
// 6.18: ctnetlink_filter_match_tuple takes ipv6_addr_cmp, which is 0 for equal ones, as if it were a yes).
func filters(cuts *compiler.Cuts) []conntrack.Filter {
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
