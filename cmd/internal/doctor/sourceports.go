package doctor

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"

	"farmc/cmd/internal/conntrack"
	"farmc/cmd/internal/preflight"
	"farmc/compiler/addr"
	"farmc/compiler/farm"
	"farmc/compiler/flows"
)

// highPorts is the number of source ports, from 1024 on, that connections from one address to one backend can have.
const highPorts = 1<<16 - 1024

// A portsOf is a pair of addresses that connections with source NAT take ports from.
type portsOf struct {
	protocol int
	from     netip.Addr
	backend  netip.AddrPort
}

// A portUse is the number of ports in use, and one of the connections.
type portUse struct {
	n       int
	example flows.Connection
}

// sourcePorts finds source addresses that have few ports left towards a backend. It reads the table of connection
// tracking only if there are enough entries for that.
func sourcePorts(ctx context.Context, entries int, farms []*farm.Farm) (found preflight.Findings) {
	if entries*100 < highPorts*fullShare {
		return nil
	}
	owners := flows.NewOwners(farms)
	for _, p := range crowdedPairs(portsInUse(ctx)) {
		if name, backend, ok := owners.Backend(p.example); ok && p.takes(farms, name, backend) {
			found = append(found, p.finding(name, backend))
		}
	}
	return found
}

// portsInUse counts the connections with source NAT. A table that cannot be read has none.
func portsInUse(ctx context.Context) map[portsOf]*portUse {
	used := map[portsOf]*portUse{}
	_ = conntrack.DumpAll(ctx, func(e conntrack.Entry) {
		if e.ReplyDestination.Addr() == e.OriginalSource.Addr() || e.ReplyDestination.Port() < 1024 {
			return
		}
		pair := portsOf{e.Protocol, e.ReplyDestination.Addr(), e.ReplySource}
		if used[pair] == nil {
			used[pair] = &portUse{example: e.Connection()}
		}
		used[pair].n++
	})
	return used
}

// A crowdedPair is a pair with few ports left.
type crowdedPair struct {
	portsOf
	*portUse
}

// crowdedPairs returns the pairs with few ports left, in the order of their addresses.
func crowdedPairs(used map[portsOf]*portUse) (out []crowdedPair) {
	for pair, use := range used {
		if use.n*100 >= highPorts*fullShare {
			out = append(out, crowdedPair{pair, use})
		}
	}
	slices.SortFunc(out, func(a, b crowdedPair) int {
		return cmp.Or(a.backend.Compare(b.backend), a.from.Compare(b.from), cmp.Compare(a.protocol, b.protocol))
	})
	return out
}

// takes reports whether new connections of the backend can have the source address: open ones can have an earlier one.
func (p crowdedPair) takes(farms []*farm.Farm, name, backend string) bool {
	f := farms[slices.IndexFunc(farms, func(f *farm.Farm) bool { return f.Name == name })]
	b := f.Backends[slices.IndexFunc(f.Backends, func(b farm.Backend) bool { return b.Name == backend })]
	family := addr.FamilyOf(p.from)
	for _, sources := range []farm.Sources{b.Source, f.Source} {
		if sources.Has(family) {
			return !p.from.Less(sources[family].First) && !sources[family].Last.Less(p.from)
		}
	}
	return true
}

func (p crowdedPair) finding(farm, backend string) *preflight.Finding {
	return &preflight.Finding{Kind: "source-ports", Object: fmt.Sprintf("%s %s %d", p.from, p.backend, p.protocol),
		Farms: []string{farm}, Effect: preflight.Harms,
		Message: fmt.Sprintf("backend %s: %d of %d source ports of %s to %s are in use: new connections fail without "+
			"a free one", backend, p.n, highPorts, p.from, p.backend),
		Advice: preflight.MorePorts}
}
