package live

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"farmc/cmd/internal/conntrack"
	"farmc/compiler/addr"
	"farmc/compiler/farm"
	"farmc/compiler/flows"
	"farmc/compiler/reload"
	"farmc/compiler/ruleset"
)

// readServed reads the counters of backends. Farms that share a maglev table share its counters, and the first farm
// reports them.
func (e *Engine) readServed(ctx context.Context, s *Status, script *ruleset.Script, name string) error {
	elements, err := reload.BackendCounters(script, name)
	if err != nil {
		return err
	}
	counted := make([]reload.CountedElement, len(elements))
	for i, t := range elements {
		counted[i] = t.CountedElement
	}
	counters, err := e.counters(ctx, counted)
	if err != nil {
		return err
	}
	sums := map[[2]string]*uint64{}
	for i, t := range elements {
		of := [2]string{t.Farm, t.Backend}
		if sums[of] == nil {
			sums[of] = new(uint64)
		}
		*sums[of] += counters[i].Packets
	}
	s.eachBackend(func(name string, b *BackendStatus) { b.Served = sums[[2]string{name, b.Name}] })
	return nil
}

func (s *Status) eachBackend(do func(name string, b *BackendStatus)) {
	for i := range s.Farms {
		for j := range s.Farms[i].Backends {
			do(s.Farms[i].Name, &s.Farms[i].Backends[j])
		}
	}
}

// readHeldBack reads the counters of denied packets and exceeded limits, and the bans.
func (e *Engine) readHeldBack(ctx context.Context, s *Status, script *ruleset.Script) error {
	counters, err := e.Nft.NamedCounters(ctx)
	if err != nil {
		return err
	}
	byFarm := map[string]map[string]uint64{}
	for name, counter := range counters {
		words := strings.Split(name, "/")
		if len(words) != 3 || words[0] != "farm" {
			continue
		}
		if byFarm[words[1]] == nil {
			byFarm[words[1]] = map[string]uint64{}
		}
		byFarm[words[1]][words[2]] = counter.Packets
	}
	for i := range s.Farms {
		f := &s.Farms[i]
		f.HeldBack = byFarm[f.Name]
		if f.HeldBack == nil {
			f.HeldBack = map[string]uint64{}
		}
		if f.Banned, err = e.bans(ctx, script, f.Name); err != nil {
			return err
		}
	}
	return nil
}

// bans returns the banned clients of a farm.
func (e *Engine) bans(ctx context.Context, script *ruleset.Script, name string) ([]BanStatus, error) {
	out := []BanStatus{}
	i := slices.IndexFunc(script.Farms, func(f *farm.Farm) bool { return f.Name == name })
	f := script.Farms[i]
	if f.Limits.Ban == 0 {
		return out, nil
	}
	for _, family := range addr.Families {
		if !f.Listens(family) {
			continue
		}
		bans, err := e.Nft.Bans(ctx, ruleset.BanSet(f.Name, family))
		if err != nil {
			return nil, err
		}
		for _, b := range bans {
			client := formatClient(farm.Client(b.Address))
			out = append(out, BanStatus{client, b.Left.Round(time.Millisecond).Seconds()})
		}
	}
	slices.SortFunc(out, func(a, b BanStatus) int {
		return cmp.Or(cmp.Compare(a.Left, b.Left), cmp.Compare(a.Client, b.Client))
	})
	return out, nil
}

// formatClient writes a single address without its prefix length.
func formatClient(client netip.Prefix) string {
	if client.IsSingleIP() {
		return client.Addr().String()
	}
	return client.String()
}

// countConnections counts the open connections of backends. Without conntrack entries they stay unknown.
func countConnections(ctx context.Context, s *Status, farms []*farm.Farm) error {
	c := flows.NewOwners(farms)
	if c.None() {
		return nil
	}
	open := map[[2]string]*int{}
	s.eachBackend(func(name string, b *BackendStatus) {
		if b.Unit == "connections" {
			b.Open = new(int)
			open[[2]string{name, b.Name}] = b.Open
		}
	})
	for _, family := range []conntrack.Family{conntrack.IP4, conntrack.IP6} {
		err := conntrack.Dump(ctx, conntrack.Filter{Family: family}, func(f conntrack.Entry) bool {
			name, backend, ok := c.Backend(connectionOf(f))
			if n := open[[2]string{name, backend}]; ok && n != nil && !f.Closed {
				*n++
			}
			return true
		})
		if err != nil {
			return err
		}
	}
	return nil
}
