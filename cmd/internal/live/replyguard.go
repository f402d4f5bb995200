package live

import (
	"context"
	"fmt"
	"sync"
	"time"

	"farmc/cmd/internal/announce"
	"farmc/cmd/internal/nft"
	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

// GuardReplies drops replies of stateless backends if another program removed the rules, until they are loaded again.
// Meanwhile backends answer requests that came by another balancer. A script of 40,000 lines takes half a second, the
// guard of a hundred backends 0.5 ms.
func (e *Engine) GuardReplies(ctx context.Context) error {
	_, err := e.guardReplies(ctx)
	return err
}

// guardReplies is GuardReplies, and reports whether it has loaded a guard.
func (e *Engine) guardReplies(ctx context.Context) (loaded bool, err error) {
	farms := e.memory().inKernel.Load()
	if farms == nil {
		return false, nil
	}
	sources := ruleset.ReplySources(*farms)
	if len(sources) == 0 {
		return false, nil
	}
	patient, done := withPatience(ctx, e.Patience)
	defer done()
	end, err := e.turn(patient, e.Patience)
	if err != nil {
		return false, err
	}
	defer end()
	if loaded, err = e.loadGuard(ctx, sources); err != nil {
		const passes = "replies of stateless backends are forwarded as they are until the rules are back"
		return false, fmt.Errorf("%s: %w", passes, err)
	}
	return loaded, nil
}

// dropReplies drops replies of backends of announced farms by routing rules, until the caller calls stop. Backends of
// other farms do not answer while the nft rules are gone: no other balancer sends them requests. The nft rules must be
// gone, as routing rules drop replies that postrouting would rewrite.
func (e *Engine) dropReplies() (stop func()) {
	stop = func() {}
	farms := e.memory().inKernel.Load()
	if e.Routes == 0 || farms == nil {
		return stop
	}
	var sources []ruleset.ReplySource
	for _, f := range *farms {
		if f.Announce != farm.NotAnnounced && len(sources) < announce.MaxDropRules {
			sources = append(sources, ruleset.ReplySources([]*farm.Farm{f})...)
		}
	}
	if len(sources) == 0 {
		return stop
	}
	if err := announce.DropReplies(sources[:min(len(sources), announce.MaxDropRules)]); err != nil {
		e.Log("warning: until the guard is there, replies of stateless backends pass: %v", err)
	}
	return e.passReplies
}

// passReplies removes the routing rules of dropReplies.
func (e *Engine) passReplies() {
	if err := announce.PassReplies(); err != nil {
		e.Log("warning: replies of stateless backends stay dropped: %v", err)
	}
}

// loadGuard loads a guard if table inet farmc is missing, and records the table, which has no counters and no clients
// that a load must keep. It takes no lock of the state directory, which costs 0.2 ms: a load of another process
// replaces the guard, or makes the table first.
func (e *Engine) loadGuard(ctx context.Context, sources []ruleset.ReplySource) (loaded bool, err error) {
	if loaded, err = e.Nft.GuardReplies(ctx, sources); !loaded || err != nil {
		return false, err
	}
	table, unread := e.Nft.TableHandle(ctx)
	digest, unknown := e.Nft.Loaded(ctx)
	if unread == nil && unknown == nil && digest == "" { // no load has replaced the guard since
		e.memory().guard = table
	}
	return true, nil
}

// isGuard reports whether a table is the last guard.
func (e *Engine) isGuard(table uint64) bool { return table != 0 && table == e.memory().guard }

// keepServed keeps the farms whose rules the kernel has, for a guard.
func (e *Engine) keepServed(farms []*farm.Farm) { e.memory().inKernel.Store(&farms) }

// A guardian loads a guard as soon as the kernel tells that table inet farmc is gone. The next steps of watch compare
// rules and compile, which takes so long that connections are lost, or they wait for the end of a pause. Two threads
// receive each removal: one with real-time priority, and the one of Changes, which waits for the guard.
type guardian struct {
	engine *Engine
	mu     sync.Mutex
	seen   uint32           // generation of the last removal
	last   time.Time        // of the last guard
	due    <-chan time.Time // the next guard; nil: none is due
}

// guardPause is the shortest time between two guards: another program could remove each at once.
const guardPause = time.Second

// guardian returns a guardian that receives removals until ctx is done.
func (e *Engine) guardian(ctx context.Context) (*guardian, error) {
	own := e.For(e.Log, e.Cause, e.Isolate)
	own.Patience = 100 * time.Millisecond // a load that goes on brings the rules back
	if e.Routes != 0 {
		e.passReplies() // a process that was killed can have left its rules
	}
	g := &guardian{engine: own}
	return g, e.Nft.Removals(ctx, func(generation uint32) { g.removed(ctx, generation) })
}

// observe is removed for a transaction that removed the rules.
func (g *guardian) observe(ctx context.Context, c nft.Transaction) {
	if c.Gone {
		g.removed(ctx, c.Generation)
	}
}

// removed loads a guard after a transaction that removed the rules, or guardPause after the last guard. The first call
// for a generation loads it, the second waits for the first.
func (g *guardian) removed(ctx context.Context, generation uint32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !later(generation, g.seen) {
		return
	}
	g.seen = generation
	switch pause := guardPause - time.Since(g.last); {
	case pause > 0:
		g.due = time.After(pause)
	default:
		defer g.engine.dropReplies()()
		g.guard(ctx)
	}
}

// nextDue returns the timer of the next guard.
func (g *guardian) nextDue() <-chan time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.due
}

// guardDue loads the guard that is due.
func (g *guardian) guardDue(ctx context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.guard(ctx)
}

// guard loads a guard, unless the rules are back. After an error it is due again: a load that was in the way can fail.
// The caller holds mu.
func (g *guardian) guard(ctx context.Context) {
	g.due = nil
	switch loaded, err := g.engine.guardReplies(ctx); {
	case err != nil:
		g.due = time.After(guardPause)
	case loaded:
		g.last = time.Now()
	}
}

// madeGuard reports whether a transaction is the load of a guard: all others that farmc sends without nft change
// elements, or unload.
func madeGuard(c nft.Transaction) bool {
	return c.Program == "farmc" && !c.Lost && !c.Gone && c.Sets == nil
}
