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
type Guard struct {
	engine *Engine
	held   nft.Snapshot // nil: what it is to hold isn't known
	load   loadMark
	span   *span // of the last load; nil: not known, or another farmc's

	hearing atomic.Pointer[span] // of the last load, or of one that goes on

	elements bool // whether elements are compared, too
}

// A span is from before a load of farmc's until the kernel was asked what it holds, in generations of the rules. Of the
// transactions in it that touched farmc's tables one is the load. If there is another one, what was held then may be
// somebody's doing.
type span struct {
	from uint32

	mu    sync.Mutex // what is heard is heard by another goroutine
	to    uint32
	ended bool
	heard []nft.Transaction // that touched farmc's tables, but what farmc does itself: it bans
}

// hear notes a transaction that touched farmc's tables.
func (s *span) hear(c nft.Transaction) {
	if s == nil || c.Lost || c.Program == "farmc" || !later(c.Generation, s.from) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended || !later(c.Generation, s.to) {
		s.heard = append(s.heard, c)
	}
}

// end says what the generation was when the kernel was asked.
func (s *span) end(to uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to, s.ended = to, true
	s.heard = slices.DeleteFunc(s.heard, func(c nft.Transaction) bool { return later(c.Generation, to) })
}

// others gives the transactions of the span if somebody else's is among them. What is not heard yet is heard later, and
// then it is asked again.
func (s *span) others() []nft.Transaction {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended || len(s.heard) < 2 {
		return nil
	}
	return slices.Clone(s.heard)
}

// later compares generations, which begin again after the last number.
func later(a, b uint32) bool { return int32(a-b) > 0 }

// mostCompared is the number of lines of a script up to which its elements are compared, too. Beyond that the kernel
// takes long to tell them.
const mostCompared = 20_000

// A loadMark tells one load from another, also of the same script: each writes loaded.nft anew.
type loadMark struct {
	size int64
	time time.Time
}

// Guard gives a guard that knows of nothing yet, and learns of each load of the engine.
func (e *Engine) Guard() *Guard {
	e.guard = &Guard{engine: e}
	return e.guard
}

// loading is told before a load.
func (g *Guard) loading(ctx context.Context) *span {
	if g == nil {
		return nil
	}
	from, err := g.engine.Nft.Generation(ctx)
	if err != nil {
		return nil // whether somebody else was there isn't known
	}
	s := &span{from: from}
	g.hearing.Store(s)
	return s
}

// failed is told after a load that changed nothing.
func (g *Guard) failed() {
	if g != nil {
		g.hearing.Store(g.span)
	}
}

// loaded takes what the kernel holds right after a load for what it is to hold, and finds out later whether it was.
func (g *Guard) loaded(ctx context.Context, script *compiler.Script, s *span) {
	if g == nil {
		return
	}
	g.elements = bytes.Count(script.Text, []byte("\n")) <= mostCompared
	g.held, g.span = nil, s
	held, generation, err := g.engine.Nft.Snapshot(ctx, g.elements)
	digest, err2 := g.engine.Nft.Loaded(ctx)
	if err != nil || err2 != nil || digest != script.Digest {
		return // and it is asked again
	}
	if g.held = held; s != nil {
		s.end(generation)
	}
}

// kept knows that load from then on by what was kept of it.
func (g *Guard) kept() {
	if g != nil {
		g.load = g.engine.Store.mark()
	}
}

// Remember takes what the kernel holds now for what it is to hold, unless it is known from the load.
func (g *Guard) Remember(ctx context.Context) error {
	release, err := g.engine.lock(ctx, func() {})
	if err != nil {
		return err
	}
	defer release()
	if g.held == nil || g.engine.Store.mark() != g.load {
		_, err = g.begin(ctx)
	}
	return err
}

// Wrong says in words what somebody has done to the rules, or "". What another farmc has loaded is right: that is what
// it is to hold from then on.
func (g *Guard) Wrong(ctx context.Context) (string, error) {
	release, err := g.engine.lock(ctx, func() {}) // another farmc may be in the middle of a load
	if err != nil {
		return "", err
	}
	defer release()
	if g.held == nil || g.engine.Store.mark() != g.load {
		return g.begin(ctx)
	}
	now, _, err := g.engine.Nft.Snapshot(ctx, g.elements)
	if err != nil {
		return "", err
	}
	words := shortly(g.held.Diff(now))
	if words == "" && g.crowded(ctx) {
		words = "they were changed while they were loaded"
	}
	return words, nil
}

// crowded says whether somebody else changed rules while they were loaded. What packets fill anybody may fill.
func (g *Guard) crowded(ctx context.Context) bool {
	commits := g.span.others()
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
func (g *Guard) begin(ctx context.Context) (string, error) {
	g.held, g.load, g.span = nil, g.engine.Store.mark(), nil
	kept, err := g.engine.Store.Loaded()
	if err != nil || kept.Script == nil {
		return "", err
	}
	g.elements = bytes.Count(kept.Script, []byte("\n")) <= mostCompared
	held, _, err := g.engine.Nft.Snapshot(ctx, g.elements)
	if err != nil {
		return "", err
	}
	digest, err := g.engine.Nft.Loaded(ctx)
	switch {
	case err != nil:
		return "", err
	case digest == "":
		return noFarms, nil
	case digest != kept.Digest:
		return otherFarms, nil
	}
	g.held = held
	return "", nil
}

// shortly joins what fits into a line of a log.
func shortly(words []string) string {
	const most = 4
	if more := len(words) - most; more > 0 {
		return strings.Join(words[:most], ", ") + fmt.Sprintf(", and %d things more", more)
	}
	return strings.Join(words, ", ")
}

// mark tells the last load from others.
func (s Store) mark() loadMark {
	info, err := os.Stat(filepath.Join(s.Dir, loadedFile))
	if err != nil {
		return loadMark{}
	}
	return loadMark{info.Size(), info.ModTime()}
}

func (g *Guard) hear(c nft.Transaction) {
	if g != nil {
		g.hearing.Load().hear(c)
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
				e.guard.hear(c)
				by, to = c.Process, changes
			case to <- by:
				to = nil
			}
		}
	}()
	return changes, nil
}
