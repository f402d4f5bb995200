package live

import (
	"cmp"
	"context"
	"math"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"farmc/cmd/internal/conntrack"
	"farmc/cmd/internal/nft"
	"farmc/compiler/addr"
	"farmc/compiler/farm"
	"farmc/compiler/flows"
	"farmc/compiler/reload"
	"farmc/compiler/ruleset"
)

// A sample is the counters of backends at a time.
type sample struct {
	at     time.Time
	counts map[backendName]uint64
}

// A backendName is a farm's name and a backend's.
type backendName struct{ farm, backend string }

// readCounts reads the counters of backends. Farms that share a maglev table share its counters, and the first farm
// reports them.
func (e *Engine) readCounts(ctx context.Context, s *Status, script *ruleset.Script, name string) error {
	counts, err := e.countsInKernel(ctx, script, name)
	if err == nil {
		e.setCounts(s, counts, name)
	}
	return err
}

// kernelCounts are the counters of backends in the kernel.
type kernelCounts struct {
	counted *countedScript
	table   uint64 // handle of the table; the counters began with it
	sample  sample
}

// countsInKernel reads the counters of the backends of one farm, or of all if name is "".
func (e *Engine) countsInKernel(ctx context.Context, script *ruleset.Script, name string) (k kernelCounts, err error) {
	if k.counted, err = e.backendCounters(script, name); err != nil {
		return k, err
	}
	if k.table, err = e.Nft.TableHandle(ctx); err != nil {
		return k, err
	}
	k.sample, err = e.readSample(ctx, k.counted)
	return k, err
}

// setCounts sets the new connections of backends since farmc counts them.
func (e *Engine) setCounts(s *Status, k kernelCounts, name string) {
	s.counted, s.sample = k.counted, k.sample
	memory := e.memory()
	if earlier := memory.sample.Load(); earlier != nil && s.sample.at.Sub(earlier.at) < time.Minute {
		s.earlier = *earlier
	}
	if name == "" {
		last := k.sample // a pointer into the status would keep all of it
		memory.sample.Store(&last)
	}
	c := e.counting().of(k.table)
	s.eachBackend(func(name string, b *BackendStatus) {
		n, exists := s.sample.counts[backendName{name, b.Name}]
		earlier, kept := c.Earlier[name][b.Name]
		if n += earlier; exists || kept {
			b.New, b.NewSince = &n, formatTime(c.since(name, b.Name))
		}
	})
}

// A countedScript is a script and its elements that count for backends, as the kernel knows them.
type countedScript struct {
	script   *ruleset.Script
	elements []nft.Element
	backends []backendName // of the elements
	runs     int           // of elements in a row for one backend
}

func newCountedScript(script *ruleset.Script, all []reload.BackendCounter) *countedScript {
	c := &countedScript{script: script, backends: make([]backendName, len(all))}
	counted := make([]reload.CountedElement, len(all))
	for i, t := range all {
		counted[i], c.backends[i] = t.CountedElement, backendName{t.Farm, t.Backend}
		if i == 0 || c.backends[i] != c.backends[i-1] {
			c.runs++
		}
	}
	c.elements = kernelElements(counted)
	return c
}

// backendCounters returns the elements of a script that count for backends, of one farm or of all if name is "".
func (e *Engine) backendCounters(script *ruleset.Script, name string) (*countedScript, error) {
	if e.counted != nil && name == "" {
		return e.counted.of(script)
	}
	elements, err := reload.BackendCounters(script, name)
	if err != nil {
		return nil, err
	}
	return newCountedScript(script, elements), nil
}

// counterCache keeps the elements that count in the last script: to find a million takes a second, and 100 MB to keep.
type counterCache struct {
	mu      sync.Mutex
	counted *countedScript // nil: none
}

// of returns the elements of a script that count for the backends of all farms.
func (c *counterCache) of(script *ruleset.Script) (*countedScript, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counted == nil || c.counted.script != script {
		elements, err := reload.BackendCounters(script, "")
		if err != nil {
			return nil, err
		}
		c.counted = newCountedScript(script, elements)
	}
	return c.counted, nil
}

// readSample reads the counters of elements.
func (e *Engine) readSample(ctx context.Context, c *countedScript) (sample, error) {
	out := sample{at: time.Now(), counts: make(map[backendName]uint64, c.runs)}
	counters, err := e.Nft.Counters(ctx, c.elements)
	if err != nil {
		return sample{}, err
	}
	for i, b := range c.backends {
		out.counts[b] += counters[i].Packets
	}
	return out, nil
}

// SetRates sets the new connections per second since the last status of all farms, if this process made it within a
// minute, and more than the time ago. Otherwise it reads the counters again, after the time.
func (e *Engine) SetRates(ctx context.Context, s *Status, after time.Duration) error {
	first, second := s.sample, s.sample
	if !s.earlier.at.IsZero() && s.sample.at.Sub(s.earlier.at) >= after {
		first = s.earlier
	} else if s.counted != nil && len(s.counted.elements) > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(after - time.Since(first.at)):
		}
		var err error
		if second, err = e.readSample(ctx, s.counted); err != nil {
			return err
		}
	}
	for i := range s.Farms {
		s.Farms[i].setRates(first, second)
	}
	return nil
}

// setRates sets the rates between two samples. A count that went down began anew.
func (f *FarmStatus) setRates(first, second sample) {
	f.NewPerSecond = nil
	seconds := second.at.Sub(first.at).Seconds()
	for i := range f.Backends {
		b := &f.Backends[i]
		was, had := first.counts[backendName{f.Name, b.Name}]
		is, has := second.counts[backendName{f.Name, b.Name}]
		if !had || !has || is < was || seconds <= 0 {
			continue
		}
		rate := math.Round(10*float64(is-was)/seconds) / 10
		b.NewPerSecond = &rate
		addTo(&f.NewPerSecond, &rate)
	}
}

// countClients counts the persistent clients of the backends of the farm, the only one in the status.
func (e *Engine) countClients(ctx context.Context, s *Status, f *farm.Farm) error {
	tables := ruleset.ClientTables(f)
	if len(tables) == 0 {
		return nil
	}
	clients := map[string]int{}
	for _, t := range tables {
		err := e.Nft.MapValues(ctx, string(t.Table), t.Map, func(id []byte) { clients[t.Backends[string(id)]]++ })
		if err != nil {
			return err
		}
	}
	s.eachBackend(func(_ string, b *BackendStatus) {
		n := clients[b.Name]
		b.Clients = &n
	})
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
func (e *Engine) readHeldBack(ctx context.Context, s *Status, farms []*farm.Farm) error {
	counters, err := e.Nft.NamedCounters(ctx)
	if err != nil {
		return err
	}
	var byFarm, byList, logOnly map[string]map[string]uint64
	cookies := map[string]uint64{}
	for name, counter := range counters {
		words := strings.Split(name, "/")
		if len(words) < 3 || words[0] != "farm" {
			continue
		}
		switch f, reason := words[1], words[2]; {
		case name == ruleset.LogOnlyCounter(f, ""):
			put(&logOnly, f, "", counter.Packets)
		case len(words) == 5 && name == ruleset.LogOnlyCounter(f, words[4]):
			put(&logOnly, f, words[4], counter.Packets)
		case name == ruleset.CookieCounter(f):
			cookies[f] = counter.Packets
		case len(words) == 3:
			put(&byFarm, f, reason, byFarm[f][reason]+counter.Packets)
		case len(words) == 5 && name == ruleset.DeniedCounter(f, words[4]):
			put(&byFarm, f, reason, byFarm[f][reason]+counter.Packets)
			put(&byList, f, words[4], counter.Packets)
		}
	}
	loaded := farmsByName(farms)
	for i := range s.Farms {
		f := &s.Farms[i]
		f.addCounted(byFarm[f.Name], loaded[f.Name])
		if denied := byList[f.Name]; denied != nil {
			f.DeniedBy = denied
		}
		if syns, answered := cookies[f.Name]; answered {
			f.Cookies = &syns
		}
		if logged := logOnly[f.Name]; logged != nil {
			f.LogOnly = logged
		}
		if f.Banned, err = e.bans(ctx, loaded[f.Name]); err != nil {
			return err
		}
	}
	return nil
}

// addCounted adds the packets that were denied or over a limit, by reason. Limits with verdict "log" hold none back.
func (f *FarmStatus) addCounted(packets map[string]uint64, loaded *farm.Farm) {
	letsPass := loaded != nil && loaded.Limits.Verdict == farm.VerdictLog
	for reason, n := range packets {
		if letsPass && reason != DeniedReason {
			f.LetPass[reason] = n
		} else {
			f.HeldBack[reason] = n
		}
	}
}

// bans returns the banned clients of a farm.
func (e *Engine) bans(ctx context.Context, f *farm.Farm) ([]BanStatus, error) {
	out := []BanStatus{}
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

// countConnections counts the open connections of backends, and their bytes if there is a meter. Without conntrack
// entries they stay unknown.
func (s *Status) countConnections(ctx context.Context, farms []*farm.Farm, bytes *byteMeter) error {
	c := flows.NewOwners(farms)
	if c.None() {
		return nil
	}
	tracked := map[string]bool{}
	for _, f := range farms {
		tracked[f.Name] = f.Tracked()
	}
	open := map[backendName]*int{}
	s.eachBackend(func(name string, b *BackendStatus) {
		if tracked[name] {
			b.Open = new(int)
			open[backendName{name, b.Name}] = b.Open
		}
	})
	err := eachOwned(ctx, c, func(of backendName, entry conntrack.Entry) {
		n := open[of]
		if n == nil {
			return
		}
		if !entry.Closed {
			*n++
		}
		if bytes != nil {
			bytes.note(of, entry)
		}
	})
	if err == nil && bytes != nil {
		bytes.end(open)
	}
	return err
}

// eachOpen calls do for each open connection of a farm. It reads the connection table once.
func eachOpen(ctx context.Context, owners *flows.Owners, do func(backendName)) error {
	return eachOwned(ctx, owners, func(of backendName, e conntrack.Entry) {
		if !e.Closed {
			do(of)
		}
	})
}

// eachOwned calls do for each connection of a farm. It reads the connection table once.
func eachOwned(ctx context.Context, owners *flows.Owners, do func(backendName, conntrack.Entry)) error {
	return conntrack.DumpAll(ctx, func(e conntrack.Entry) {
		if name, backend, ok := owners.Backend(e.Connection()); ok {
			do(backendName{name, backend}, e)
		}
	})
}
