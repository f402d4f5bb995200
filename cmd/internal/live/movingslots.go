package live

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"farmc/cmd/internal/nft"
	"farmc/compiler/farm"
	"farmc/compiler/flows"
	"farmc/compiler/ruleset"
	"farmc/compiler/slots"
)

// A SlotMover moves slots of farms with scheduler least-connections, in the kernel alone: the script, its digest and
// the history stay as they are. It is for one goroutine.
type SlotMover struct {
	engine  *Engine
	digest  string // of the script that the rest belongs to; "": of none
	farms   []*movingFarm
	counted *countedScript
	owners  *flows.Owners
	sample  sample // of the last step; zero: none
}

// A movingFarm is a farm with slots that move.
type movingFarm struct {
	name      string
	tables    []ruleset.SlotTable
	lifetimes slots.Lifetimes
	arrived   uint64 // since the last step
	open      map[string]int
}

// SlotMover returns a mover, which works while other goroutines use the engine.
func (e *Engine) SlotMover() *SlotMover {
	own := e.For(e.Log, e.Cause, e.Isolate)
	own.Patience = 100 * time.Millisecond // a load comes first
	return &SlotMover{engine: own}
}

// MovesSlots reports whether farms have slots that move.
func MovesSlots(farms []*farm.Farm) bool {
	return slices.ContainsFunc(farms, func(f *farm.Farm) bool { return len(ruleset.SlotTables(f)) > 0 })
}

// Step counts the open connections of the farms that were loaded last, and moves slots accordingly. It reports whether
// these farms have slots that move; if not, further steps have no effect until the next load. The connection table is
// read once, without a lock.
func (m *SlotMover) Step(ctx context.Context) (more bool, err error) {
	if err := m.follow(ctx); err != nil || len(m.farms) == 0 {
		return errors.Is(err, ErrBusy), notBusy(err)
	}
	if err := m.countOpen(ctx); err != nil {
		return true, err
	}
	now, err := m.engine.readSample(ctx, m.counted)
	if err != nil {
		return true, err
	}
	before := m.sample
	m.sample = now
	seconds := now.at.Sub(before.at).Seconds()
	if before.at.IsZero() || seconds <= 0 {
		return true, nil
	}
	for _, f := range m.farms {
		f.note(before, now, seconds)
	}
	return true, notBusy(m.move(ctx, seconds))
}

// notBusy drops the error that a load was in the way: the next step follows soon.
func notBusy(err error) error {
	if errors.Is(err, ErrBusy) {
		return nil
	}
	return err
}

// follow reads the farms of the last load, if the kernel has other rules than at the last step.
func (m *SlotMover) follow(ctx context.Context) error {
	digest, err := m.engine.Nft.Loaded(ctx)
	if err != nil || digest == m.digest {
		return err
	}
	release, err := m.engine.lock(ctx, func() {})
	if err != nil {
		return err
	}
	defer release()
	if digest, err = m.engine.Nft.Loaded(ctx); err != nil || digest == m.digest { // of the load before this turn
		return err
	}
	c := m.engine.compilationOf(digest)
	if c == nil { // the rules of the boot, or of another program: watch loads anew
		*m = SlotMover{engine: m.engine}
		return nil
	}
	return m.read(digest, c)
}

// compilationOf returns the compilation of the script with a digest, if it is the last one, or that of the last load.
// The state directory is asked second: a full one lacks the last load.
func (e *Engine) compilationOf(digest string) *compilation {
	if c := e.memory().compiled; c != nil && c.script != nil && c.script.Digest == digest {
		return c
	}
	if last, err := e.Store.Loaded(); err != nil || last.Digest != digest { // else 10,000 farms would be compiled
		return nil
	}
	_, c, _ := e.lastLoaded()
	return c
}

// read keeps the farms of a compilation, and the elements that count their connections. Farms that stay keep their
// lifetimes and counters: other farms can be loaded more often than slots move.
func (m *SlotMover) read(digest string, c *compilation) error {
	next := SlotMover{engine: m.engine, digest: digest}
	var farms []*farm.Farm
	maps := map[string]bool{}
	for _, f := range c.script.Farms {
		tables := ruleset.SlotTables(f)
		if len(tables) == 0 {
			continue
		}
		next.farms = append(next.farms, &movingFarm{name: f.Name, tables: tables, lifetimes: m.lifetimes(f.Name)})
		farms = append(farms, f)
		for _, t := range tables {
			maps[t.Map] = true
		}
	}
	m.engine.memory().moving.Store(&maps)
	if len(farms) > 0 {
		all, err := m.engine.backendCounters(c.script, "")
		if err != nil {
			return err
		}
		next.counted, next.owners, next.sample = all.of(farms), flows.NewOwners(c.script.Farms), m.sample
	}
	*m = next
	return nil
}

// lifetimes returns the estimates for the connections of a farm; none if the farm is new.
func (m *SlotMover) lifetimes(name string) slots.Lifetimes {
	for _, f := range m.farms {
		if f.name == name {
			return f.lifetimes
		}
	}
	return slots.Lifetimes{}
}

// of returns the part of the elements that count for some farms.
func (c *countedScript) of(farms []*farm.Farm) *countedScript {
	named, out := farmsByName(farms), &countedScript{script: c.script, runs: c.runs}
	for i, b := range c.backends {
		if named[b.farm] != nil {
			out.elements, out.backends = append(out.elements, c.elements[i]), append(out.backends, b)
		}
	}
	return out
}

// countOpen counts the open connections of all backends.
func (m *SlotMover) countOpen(ctx context.Context) error {
	open := map[string]map[string]int{}
	for _, f := range m.farms {
		f.open = map[string]int{}
		open[f.name] = f.open
	}
	return eachOpen(ctx, m.owners, func(of backendName) {
		if farm := open[of.farm]; farm != nil {
			farm[of.backend]++
		}
	})
}

// note adds a step to the estimates of how long connections last.
func (f *movingFarm) note(before, now sample, seconds float64) {
	f.arrived = 0
	f.lifetimes.Age(seconds)
	for _, backend := range f.backends() {
		name := backendName{f.name, backend}
		was, known := before.counts[name]
		if !known { // the counter may be older than the backend's slots
			continue
		}
		arrived := now.counts[name] - min(was, now.counts[name])
		f.arrived += arrived
		f.lifetimes.Note(backend, f.open[backend], arrived, seconds)
	}
}

// backends gives the names of the backends with slots in any family.
func (f *movingFarm) backends() (names []string) {
	for _, t := range f.tables {
		for _, b := range t.Serving {
			if !slices.Contains(names, b.Backend) {
				names = append(names, b.Backend)
			}
		}
	}
	return names
}

// move moves some slots after a step.
func (m *SlotMover) move(ctx context.Context, seconds float64) error {
	return m.set(ctx, func(f *movingFarm, t ruleset.SlotTable, owners []int) []int {
		return f.rebalanced(t, owners, float64(f.arrived)/seconds)
	})
}

// endPatience is the time that End waits for a load to end.
const endPatience = 10 * time.Second

// End moves all slots back, so that farms serve by weight while no connections are counted. It reads the farms of
// the last load, because there may have been no step since. The error is ErrBusy if a load goes on for too long. It
// waits for none if the last step found no such farm.
func (m *SlotMover) End(ctx context.Context) error {
	if len(m.farms) == 0 {
		return nil
	}
	m.engine.Patience = endPatience
	err := m.follow(ctx)
	if err == nil && len(m.farms) > 0 {
		err = m.set(ctx, func(_ *movingFarm, t ruleset.SlotTable, _ []int) []int { return t.Slots })
	}
	if err != nil {
		return fmt.Errorf("backends of farms with scheduler least-connections keep their shares: %w", err)
	}
	return nil
}

// set reads the slots of all farms from the kernel, and gives some of them other backends, as want says for the slots
// of a map. The rules of the last load must still be there.
func (m *SlotMover) set(ctx context.Context, want func(*movingFarm, ruleset.SlotTable, []int) []int) error {
	release, err := m.engine.lock(ctx, func() {})
	if err != nil {
		return err
	}
	defer release()
	if digest, err := m.engine.Nft.Loaded(ctx); err != nil || digest != m.digest {
		return err
	}
	var moves []nft.MapValue
	for _, f := range m.farms {
		for _, t := range f.tables {
			owners, err := m.engine.slotOwners(ctx, t)
			if err != nil {
				return err
			}
			if owners != nil {
				moves = append(moves, movesTo(t, owners, want(f, t, owners))...)
			}
		}
	}
	if err := m.engine.Nft.SetValues(ctx, moves); err != nil {
		return fmt.Errorf("move slots of farms with scheduler least-connections: %w", err)
	}
	return nil
}

// slotOwners reads which backend has each slot, as the index in t.Serving; nil if the kernel has other slots.
func (e *Engine) slotOwners(ctx context.Context, t ruleset.SlotTable) ([]int, error) {
	owners, n := make([]int, len(t.Slots)), 0
	err := e.Nft.MapElements(ctx, string(ruleset.Inet), t.Map, func(found nft.MapElement) {
		owner := slices.IndexFunc(t.Serving, func(b ruleset.SlotOwner) bool { return b.ID == string(found.Value) })
		if len(found.Key) != 4 || owner < 0 {
			return
		}
		if slot := int(binary.NativeEndian.Uint32(found.Key)); slot < len(owners) {
			owners[slot] = owner
			n++
		}
	})
	if err != nil || n != len(owners) {
		return nil, err
	}
	return owners, nil
}

// movesTo gives the slots that get another backend.
func movesTo(t ruleset.SlotTable, owners, want []int) (out []nft.MapValue) {
	for slot, owner := range owners {
		if want[slot] != owner {
			out = append(out, nft.MapValue{Map: t.Map, Key: binary.NativeEndian.AppendUint32(nil, uint32(slot)),
				Value: []byte(t.Serving[want[slot]].ID)})
		}
	}
	return out
}

// rebalanced gives new backends to some slots.
func (f *movingFarm) rebalanced(t ruleset.SlotTable, owners []int, rate float64) []int {
	loads := make([]slots.Load, len(t.Serving))
	for i, b := range t.Serving {
		loads[i] = slots.Load{Weight: b.Weight, Open: f.open[b.Backend], Lasts: f.lifetimes.Of(b.Backend)}
	}
	for _, owner := range owners {
		loads[owner].Slots++
	}
	missing := slots.Rebalance(loads, rate)
	for i := range missing {
		missing[i] -= loads[i].Slots
	}
	out := slices.Clone(owners)
	for slot, owner := range out {
		taker := slices.IndexFunc(missing, func(n int) bool { return n > 0 })
		if missing[owner] < 0 && taker >= 0 {
			missing[owner]++
			missing[taker]--
			out[slot] = taker
		}
	}
	return out
}

// movedSlots reports whether a transaction is one of a SlotMover alone.
func (e *Engine) movedSlots(c nft.Transaction) bool {
	maps := e.memory().moving.Load()
	return maps != nil && c.Program == "farmc" && len(c.Sets) > 0 &&
		!slices.ContainsFunc(c.Sets, func(set string) bool { return !(*maps)[set] })
}

// readShares sets the present shares of backends of farms with slots that move. A backend of both families has its
// share of the first one that has several backends.
func (e *Engine) readShares(ctx context.Context, s *Status, farms []*farm.Farm) error {
	loaded := farmsByName(farms)
	for i := range s.Farms {
		f := loaded[s.Farms[i].Name]
		if f == nil || f.Scheduler != farm.LeastConnections {
			continue
		}
		for _, table := range slices.Backward(ruleset.SlotTables(f)) {
			owners, err := e.slotOwners(ctx, table)
			if err != nil {
				return err
			}
			s.Farms[i].setShares(table, owners)
		}
	}
	return nil
}

func (f *FarmStatus) setShares(t ruleset.SlotTable, owners []int) {
	counts := map[string]int{}
	for _, owner := range owners {
		counts[t.Serving[owner].Backend]++
	}
	for i := range f.Backends {
		if n := counts[f.Backends[i].Name]; n > 0 {
			f.Backends[i].Share = math.Round(1000*float64(n)/float64(len(owners))) / 1000
		}
	}
}
