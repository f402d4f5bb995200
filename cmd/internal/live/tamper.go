package live

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"farmc/cmd/internal/nft"
	"farmc/compiler/ruleset"
)

// A Monitor detects changes that other programs make to farmc's rules. It records the kernel's rules right after each
// load, and compares them with the rules at a later time.
type Monitor struct {
	engine   *Engine
	expected nft.Snapshot // rules after the load; nil: not known
	load     loadID
	window   *loadWindow // of the last load; nil: not known, or another farmc loaded

	current atomic.Pointer[loadWindow] // of the load in progress, or else of the last one

	elements bool // compare elements of sets and maps, too
}

// maxComparedLines is the length of a script, in lines, up to which elements are compared. The kernel takes long to
// list the elements of longer ones.
const maxComparedLines = 20_000

// A loadID identifies a load, also among loads of the same script: each load writes loaded.nft anew.
type loadID struct {
	size int64
	time time.Time
}

// Monitor returns a monitor that has recorded no rules yet, and that follows each load of the engine.
func (e *Engine) Monitor() *Monitor {
	e.memory() // several goroutines use the engine from now on
	e.monitor = &Monitor{engine: e}
	return e.monitor
}

// beforeLoad opens the window of a load.
func (g *Monitor) beforeLoad(ctx context.Context) *loadWindow {
	if g == nil {
		return nil
	}
	from, err := g.engine.Nft.Generation(ctx)
	if err != nil {
		return nil // changes during the load stay undetected
	}
	s := &loadWindow{begin: from}
	g.current.Store(s)
	return s
}

// loadFailed restores the window of the last load.
func (g *Monitor) loadFailed() {
	if g != nil {
		g.current.Store(g.window)
	}
}

// afterLoad records the kernel's rules right after a load. The notifications about the window arrive later.
func (g *Monitor) afterLoad(ctx context.Context, script *ruleset.Script, s *loadWindow) {
	if g == nil {
		return
	}
	g.elements = bytes.Count(script.Text, []byte("\n")) <= maxComparedLines
	g.expected, g.window = nil, s
	held, generation, err := g.engine.Nft.Snapshot(ctx, g.elements)
	digest, err2 := g.engine.Nft.Loaded(ctx)
	if err != nil || err2 != nil || digest != script.Digest {
		return // Tampering records the rules later
	}
	if g.expected = held; s != nil {
		s.end(generation)
	}
}

// stored binds the recorded rules to the load in the state directory.
func (g *Monitor) stored() {
	if g != nil {
		g.load = g.engine.loadID()
	}
}

// Remember records the kernel's rules, unless they are recorded since the last load.
func (g *Monitor) Remember(ctx context.Context) error {
	release, err := g.engine.lock(ctx, func() {})
	if err != nil {
		return err
	}
	defer release()
	if g.expected == nil || g.engine.loadID() != g.load {
		_, err = g.reset(ctx)
	}
	return err
}

// Tampering describes the changes that another program made to the rules since the last load; "" if there are none. A
// load of another farmc is no tampering: its rules are recorded as the new ones.
func (g *Monitor) Tampering(ctx context.Context) (string, error) {
	release, err := g.engine.lock(ctx, func() {}) // another farmc could be loading
	if err != nil {
		return "", err
	}
	defer release()
	if g.expected == nil || g.engine.loadID() != g.load {
		return g.reset(ctx)
	}
	now, _, err := g.engine.Nft.Snapshot(ctx, g.elements)
	if err != nil {
		return "", err
	}
	table, err := g.engine.Nft.TableHandle(ctx)
	if err != nil {
		return "", err
	}
	if g.engine.isGuard(table) {
		now = now.WithoutInet()
	}
	words := abbreviate(g.expected.Diff(now))
	if words == "" && g.changedDuringLoad(ctx) {
		words = "changed during the load"
	}
	return words, nil
}

// changedDuringLoad reports whether another program changed rules during the load. Changes of elements in sets that
// packets fill are ignored.
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

// reset records the kernel's rules, and describes their difference to the last load.
func (g *Monitor) reset(ctx context.Context) (string, error) {
	g.expected, g.load, g.window = nil, g.engine.loadID(), nil
	last, err := g.engine.Store.Loaded()
	if err != nil || last.Script == nil {
		return "", err
	}
	g.elements = bytes.Count(last.Script, []byte("\n")) <= maxComparedLines
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
	case digest != last.Digest:
		return otherRules, nil
	}
	g.expected = held
	return "", nil
}

// abbreviate joins the descriptions that fit into a log line.
func abbreviate(words []string) string {
	const maxItems = 4
	if more := len(words) - maxItems; more > 0 {
		return strings.Join(words[:maxItems], ", ") + fmt.Sprintf(", and %d more", more)
	}
	return strings.Join(words, ", ")
}

// loadID returns the ID of the last load.
func (e *Engine) loadID() loadID {
	info, err := e.Store.StatLoaded()
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

// Changes sends the program and process ID of each transaction on farmc's tables. Loads of farmc are included.
// Before it sends that the rules are gone, it guards replies.
// Transactions that precede the receive are merged into one message.
func (e *Engine) Changes(ctx context.Context) (<-chan string, error) {
	commits, err := e.Nft.Monitor(ctx)
	if err != nil {
		return nil, err
	}
	guard, err := e.guardian(ctx)
	if err != nil {
		e.Log("farmc: the guard of replies can be late: %v", err)
	}
	changes := make(chan string)
	go func() {
		defer close(changes)
		var by string
		var to chan<- string // nil while there is nothing to send
		for {
			select {
			case c, more := <-commits:
				if !more {
					return
				}
				guard.observe(ctx, c)
				if e.movedSlots(c) || madeGuard(c) {
					continue
				}
				e.monitor.observe(c)
				by, to = c.Process, changes
			case <-guard.nextDue():
				guard.guardDue(ctx)
			case to <- by:
				to = nil
			}
		}
	}()
	return changes, nil
}
