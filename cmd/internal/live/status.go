package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"farmc/cmd/internal/conntrack"
	"farmc/compiler"
	"farmc/compiler/addr"
)

// A Status is how the farms stand that were loaded last, as the state directory knows them, with what the kernel says of
// them.
type Status struct {
	Rules   Rules        `json:"rules"`
	Pending []string     `json:"pending"` // what the files say by now that isn't applied, in words
	Faulty  bool         `json:"faulty"`  // the files have faults by now
	Blocked string       `json:"barred"`  // why apply would not load them: they are held, or something waits to be confirmed
	Farms   []FarmStatus `json:"farms"`   // in the order of their names
}

// Rules are what the kernel holds.
type Rules string

// What the kernel can hold.
const (
	RulesLoaded Rules = "loaded" // what was loaded last
	RulesBooted Rules = "booted" // what of that hangs on no network interface, which was loaded at boot
	RulesOther  Rules = "other"  // something else of farmc's
	RulesNone   Rules = "none"
)

// counting says whether what the kernel has counted is of the farms that were loaded last.
func (r Rules) countersValid() bool { return r == RulesLoaded || r == RulesBooted }

// A FarmStatus is how a farm stands. What the kernel doesn't tell is nil.
type FarmStatus struct {
	Name     string            `json:"name"`
	File     string            `json:"file"`
	Mode     string            `json:"mode"`
	State    string            `json:"state"`
	Listen   []string          `json:"listen"`
	Backends []BackendStatus   `json:"backends"`
	HeldBack map[string]uint64 `json:"heldBack"` // packets, by reason
	Banned   []BanStatus       `json:"banned"`   // the one whose time is over first comes first
}

// A BackendStatus is how a backend stands.
type BackendStatus struct {
	Name    string   `json:"name"`
	Address []string `json:"address"`
	Port    uint16   `json:"port,omitempty"`
	State   string   `json:"state"` // up, drain, down; standby while others serve
	Share   float64  `json:"share"` // of what is new, at most 1
	Open    *int     `json:"open"`  // tracked connections
	Served  *uint64  `json:"served"`
	Unit    string   `json:"counts"` // what is served: connections or packets
}

// A BanStatus is a client that is shut out.
type BanStatus struct {
	Client string  `json:"client"`
	Left   float64 `json:"left"` // seconds; 0: for ever
}

// ErrNothingLoaded says that there is nothing to know.
var ErrNothingLoaded = errors.New("no farms have been loaded: farmc apply does")

// errUnknown says that the state directory lacks the files of what was loaded.
var errUnknown = errors.New("the state directory does not know the files of what was loaded last: farmc apply")

// Status tells how the farms stand, or one of them.
func (e *Engine) Status(ctx context.Context, farm string) (Status, error) {
	kept, c, err := e.lastLoaded()
	if err != nil {
		return Status{}, err
	}
	var s Status
	if s.Rules, err = e.rules(ctx, kept); err != nil {
		return Status{}, err
	}
	now := e.compile()
	s.pending(kept, now, farm)
	barred, err := e.blocked(now)
	if err != nil {
		return Status{}, err
	}
	if barred != nil {
		s.Blocked = barred.Error()
	}
	if farm != "" {
		if _, err := findFarm(c, farm); err != nil {
			return Status{}, err
		}
	}
	for _, f := range c.script.Farms {
		if farm == "" || f.Name == farm {
			s.Farms = append(s.Farms, newFarmStatus(f))
		}
	}
	if !s.Rules.countersValid() {
		return s, nil
	}
	return s, errors.Join(e.readServed(ctx, &s, c.script, farm), e.readHeldBack(ctx, &s, c.script), countConnections(ctx, &s, c.script.Farms))
}

// lastLoaded gives what was loaded last.
func (e *Engine) lastLoaded() (LastLoad, *compilation, error) {
	kept, err := e.Store.Loaded()
	switch {
	case err != nil:
		return kept, nil, err
	case kept.Script == nil:
		return kept, nil, ErrNothingLoaded
	}
	if c := e.compileKept(sourcesFile, kept.Digest); c != nil {
		return kept, c, nil
	}
	return kept, nil, errUnknown
}

func (e *Engine) rules(ctx context.Context, kept LastLoad) (Rules, error) {
	holds, err := e.Nft.Loaded(ctx)
	switch {
	case err != nil:
		return "", err
	case holds == "":
		return RulesNone, nil
	case holds == kept.Digest:
		return RulesLoaded, nil
	case holds == kept.Boot:
		return RulesBooted, nil
	}
	return RulesOther, nil
}

// pending finds what the files say by now, of one farm or of all.
func (s *Status) pending(kept LastLoad, now *compilation, farm string) {
	s.Pending = []string{}
	if s.Faulty = now.script == nil || now.diagnostics.Faulty(); s.Faulty {
		return
	}
	for _, change := range compiler.Changes(kept.Farms, compiler.FactsOf(now.script.Farms)) {
		if farm == "" || strings.HasPrefix(change, farm+": ") {
			s.Pending = append(s.Pending, change)
		}
	}
}

// farmNamed gives a farm that was loaded last.
func findFarm(c *compilation, name string) (*compiler.Farm, error) {
	for _, f := range c.script.Farms {
		if f.Name == name {
			return f, nil
		}
	}
	return nil, fmt.Errorf("no farm %s is loaded", name)
}

func newFarmStatus(f *compiler.Farm) FarmStatus {
	s := FarmStatus{Name: f.Name, File: f.Place.File, Mode: string(f.Mode), State: "up", Listen: f.Listening(),
		Backends: []BackendStatus{}, Banned: []BanStatus{}}
	if f.Down {
		s.State = "down"
	}
	shares, counts := f.Shares(), "packets"
	if f.Tracked() {
		counts = "connections"
	}
	for _, b := range f.Backends {
		state := string(b.State)
		if b.State == compiler.Up && shares[b.Name] == 0 && !f.Down {
			state = "standby"
		}
		s.Backends = append(s.Backends, BackendStatus{Name: b.Name, Address: strings.Split(b.Address.String(), ", "), Port: b.Port,
			State: state, Share: shares[b.Name], Unit: counts})
	}
	return s
}

// tally reads what the kernel has counted for backends. The numbers of maglev tables that several farms share are the
// first one's.
func (e *Engine) readServed(ctx context.Context, s *Status, script *compiler.Script, farm string) error {
	tallies, err := compiler.Tallies(script, farm)
	if err != nil {
		return err
	}
	counted := make([]compiler.Counted, len(tallies))
	for i, t := range tallies {
		counted[i] = t.Counted
	}
	counts, err := e.counters(ctx, counted)
	if err != nil {
		return err
	}
	sums := map[[2]string]*uint64{}
	for i, t := range tallies {
		of := [2]string{t.Farm, t.Backend}
		if sums[of] == nil {
			sums[of] = new(uint64)
		}
		*sums[of] += counts[i].Packets
	}
	s.eachBackend(func(farm string, b *BackendStatus) { b.Served = sums[[2]string{farm, b.Name}] })
	return nil
}

func (s *Status) eachBackend(do func(farm string, b *BackendStatus)) {
	for i := range s.Farms {
		for j := range s.Farms[i].Backends {
			do(s.Farms[i].Name, &s.Farms[i].Backends[j])
		}
	}
}

// heldBack reads what was held back, and who is banned.
func (e *Engine) readHeldBack(ctx context.Context, s *Status, script *compiler.Script) error {
	counts, err := e.Nft.NamedCounters(ctx)
	if err != nil {
		return err
	}
	byFarm := map[string]map[string]uint64{}
	for name, count := range counts {
		words := strings.Split(name, "/")
		if len(words) != 3 || words[0] != "farm" {
			continue
		}
		if byFarm[words[1]] == nil {
			byFarm[words[1]] = map[string]uint64{}
		}
		byFarm[words[1]][words[2]] = count.Packets
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

// bans gives whom a farm shuts out.
func (e *Engine) bans(ctx context.Context, script *compiler.Script, name string) ([]BanStatus, error) {
	out := []BanStatus{}
	i := slices.IndexFunc(script.Farms, func(f *compiler.Farm) bool { return f.Name == name })
	f := script.Farms[i]
	if f.Limits.Ban == 0 {
		return out, nil
	}
	for _, family := range addr.Families {
		if !f.Listens(family) {
			continue
		}
		bans, err := e.Nft.Bans(ctx, compiler.BanSet(f.Name, family))
		if err != nil {
			return nil, err
		}
		for _, b := range bans {
			out = append(out, BanStatus{formatClient(compiler.Client(b.Address)), b.Left.Round(time.Millisecond).Seconds()})
		}
	}
	slices.SortFunc(out, func(a, b BanStatus) int { return cmp.Or(cmp.Compare(a.Left, b.Left), cmp.Compare(a.Client, b.Client)) })
	return out, nil
}

// clientWords is a client as people write it: a single address without its length.
func formatClient(client netip.Prefix) string {
	if client.IsSingleIP() {
		return client.Addr().String()
	}
	return client.String()
}

// census counts the connections that are open. Where they can't be counted, they stay unknown.
func countConnections(ctx context.Context, s *Status, farms []*compiler.Farm) error {
	c := compiler.NewCensus(farms)
	if c.None() {
		return nil
	}
	open := map[[2]string]*int{}
	s.eachBackend(func(farm string, b *BackendStatus) {
		if b.Unit == "connections" {
			b.Open = new(int)
			open[[2]string{farm, b.Name}] = b.Open
		}
	})
	for _, family := range []conntrack.Family{conntrack.IP4, conntrack.IP6} {
		err := conntrack.Dump(ctx, conntrack.Filter{Family: family}, func(f conntrack.Entry) bool {
			farm, backend, ok := c.Backend(compiler.Connection{Protocol: f.Protocol, To: f.OriginalDestination, Server: f.ReplySource, Translated: f.DestinationNAT})
			if n := open[[2]string{farm, backend}]; ok && n != nil {
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
