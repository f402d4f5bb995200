package live

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"farmc/cmd/internal/nft"
	"farmc/compiler"

	"golang.org/x/sys/unix"
)

// A Guard knows what the kernel held after a load, and tells what somebody else has done to it since.
type Monitor struct {
	engine   *Engine
	expected nft.Snapshot // nil: what it is to hold isn't known
	load     loadID
	window   *loadWindow // of the last load; nil: not known, or another farmc's

	current atomic.Pointer[loadWindow] // of the last load, or of one that goes on

	elements bool // whether elements are compared, too
}

// A span is from before a load of farmc's until the kernel was asked what it holds, in generations of the rules. Of the
// transactions in it that touched farmc's tables one is the load. If there is another one, what was held then may be
// somebody's doing.
type loadWindow struct {
	begin uint32

	mu           sync.Mutex // what is heard is heard by another goroutine
	finish       uint32
	ended        bool
	transactions []nft.Transaction // that touched farmc's tables, but what farmc does itself: it bans
}

// hear notes a transaction that touched farmc's tables.
func (s *loadWindow) observe(c nft.Transaction) {
	if s == nil || c.Lost || c.Program == "farmc" || !later(c.Generation, s.begin) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended || !later(c.Generation, s.finish) {
		s.transactions = append(s.transactions, c)
	}
}

// end says what the generation was when the kernel was asked.
func (s *loadWindow) end(to uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish, s.ended = to, true
	s.transactions = slices.DeleteFunc(s.transactions, func(c nft.Transaction) bool { return later(c.Generation, to) })
}

// others gives the transactions of the span if somebody else's is among them. What is not heard yet is heard later, and
// then it is asked again.
func (s *loadWindow) foreign() []nft.Transaction {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended || len(s.transactions) < 2 {
		return nil
	}
	return slices.Clone(s.transactions)
}

// later compares generations, which begin again after the last number.
func later(a, b uint32) bool { return int32(a-b) > 0 }

// mostCompared is the number of lines of a script up to which its elements are compared, too. Beyond that the kernel
// takes long to tell them.
const maxComparedLines = 20_000

// A loadMark tells one load from another, also of the same script: each writes loaded.nft anew.
type loadID struct {
	size int64
	time time.Time
}

// Guard gives a guard that knows of nothing yet, and learns of each load of the engine.
func (e *Engine) Monitor() *Monitor {
	e.monitor = &Monitor{engine: e}
	return e.monitor
}

// loading is told before a load.
func (g *Monitor) beforeLoad(ctx context.Context) *loadWindow {
	if g == nil {
		return nil
	}
	from, err := g.engine.Nft.Generation(ctx)
	if err != nil {
		return nil // whether somebody else was there isn't known
	}
	s := &loadWindow{begin: from}
	g.current.Store(s)
	return s
}

// failed is told after a load that changed nothing.
func (g *Monitor) loadFailed() {
	if g != nil {
		g.current.Store(g.window)
	}
}

// loaded takes what the kernel holds right after a load for what it is to hold, and finds out later whether it was.
func (g *Monitor) afterLoad(ctx context.Context, script *compiler.Script, s *loadWindow) {
	if g == nil {
		return
	}
	g.elements = bytes.Count(script.Text, []byte("\n")) <= maxComparedLines
	g.expected, g.window = nil, s
	held, generation, err := g.engine.Nft.Snapshot(ctx, g.elements)
	digest, err2 := g.engine.Nft.Loaded(ctx)
	if err != nil || err2 != nil || digest != script.Digest {
		return // and it is asked again
	}
	if g.expected = held; s != nil {
		s.end(generation)
	}
}

// kept knows that load from then on by what was kept of it.
func (g *Monitor) stored() {
	if g != nil {
		g.load = g.engine.Store.loadID()
	}
}

// Remember takes what the kernel holds now for what it is to hold, unless it is known from the load.
func (g *Monitor) Remember(ctx context.Context) error {
	release, err := g.engine.lock(ctx, func() {})
	if err != nil {
		return err
	}
	defer release()
	if g.expected == nil || g.engine.Store.loadID() != g.load {
		_, err = g.reset(ctx)
	}
	return err
}

// Wrong says in words what somebody has done to the rules, or "". What another farmc has loaded is right: that is what
// it is to hold from then on.
func (g *Monitor) Tampering(ctx context.Context) (string, error) {
	release, err := g.engine.lock(ctx, func() {}) // another farmc may be in the middle of a load
	if err != nil {
		return "", err
	}
	defer release()
	if g.expected == nil || g.engine.Store.loadID() != g.load {
		return g.reset(ctx)
	}
	now, _, err := g.engine.Nft.Snapshot(ctx, g.elements)
	if err != nil {
		return "", err
	}
	words := abbreviate(g.expected.Diff(now))
	if words == "" && g.changedDuringLoad(ctx) {
		words = "they were changed while they were loaded"
	}
	return words, nil
}

// crowded says whether somebody else changed rules while they were loaded. What packets fill anybody may fill.
func (g *Monitor) changedDuringLoad(ctx context.Context) bool {
	commits := g.window.foreign()
	if len(commits) == 0 {
		return false
	}
	objects, err := g.engine.Nft.Objects(ctx)
	if err != nil {
		return true
	}
	filled := map[string]bool{}
	for _, o := range objects {
		filled[o.Name] = o.Flags&unix.NFT_SET_EVAL != 0
	}
	commits = slices.DeleteFunc(commits, func(c nft.Transaction) bool {
		return c.Sets != nil && !slices.ContainsFunc(c.Sets, func(set string) bool { return !filled[set] })
	})
	return len(commits) > 1
}

// begin looks at what the kernel holds, and says what is wrong with it: somebody may have been quicker.
func (g *Monitor) reset(ctx context.Context) (string, error) {
	g.expected, g.load, g.window = nil, g.engine.Store.loadID(), nil
	kept, err := g.engine.Store.Loaded()
	if err != nil || kept.Script == nil {
		return "", err
	}
	g.elements = bytes.Count(kept.Script, []byte("\n")) <= maxComparedLines
	held, _, err := g.engine.Nft.Snapshot(ctx, g.elements)
	if err != nil {
		return "", err
	}
	digest, err := g.engine.Nft.Loaded(ctx)
	switch {
	case err != nil:
		return "", err
	case digest == "":
		return noRules, nil
	case digest != kept.Digest:
		return otherRules, nil
	}
	g.expected = held
	return "", nil
}

// shortly joins what fits into a line of a log.
func abbreviate(words []string) string {
	const maxItems = 4
	if more := len(words) - maxItems; more > 0 {
		return strings.Join(words[:maxItems], ", ") + fmt.Sprintf(", and %d things more", more)
	}
	return strings.Join(words, ", ")
}

// mark tells the last load from others.
func (s Store) loadID() loadID {
	info, err := os.Stat(filepath.Join(s.Dir, loadedFile))
	if err != nil {
		return loadID{}
	}
	return loadID{info.Size(), info.ModTime()}
}

func (g *Monitor) observe(c nft.Transaction) {
	if g != nil {
		g.current.Load().observe(c)
	}
}

// Changes tells who changed farmc's tables, at once; what happens before that is received is told with it. Farmc's own
// loads are among it.
func (e *Engine) Changes(ctx context.Context) (<-chan string, error) {
	commits, err := e.Nft.Monitor(ctx)
	if err != nil {
		return nil, err
	}
	changes := make(chan string)
	go func() {
		defer close(changes)
		var by string
		var to chan<- string // nil while there is nothing to tell
		for {
			select {
			case c, more := <-commits:
				if !more {
					return
				}
				e.monitor.observe(c)
				by, to = c.Process, changes
			case to <- by:
				to = nil
			}
		}
	}()
	return changes, nil
}
