package live

import (
	"context"
	"fmt"
	"time"

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
	patient, done := e.patience(ctx)
	defer done()
	end, err := e.turn(patient)
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

// loadGuard loads a guard if table inet farmc is missing, and records the table, which has no counters and no clients
// that a load must keep. It takes no lock of the state directory, which costs 0.2 ms: a load of another process
// replaces the guard, or makes the table first.
func (e *Engine) loadGuard(ctx context.Context, sources []ruleset.ReplySource) (loaded bool, err error) {
	loaded, err = e.Nft.GuardReplies(ctx, sources)
	if loaded && err == nil {
		e.memory().guard, err = e.Nft.TableHandle(ctx)
	}
	return loaded, err
}

// isGuard reports whether a table is the last guard.
func (e *Engine) isGuard(table uint64) bool { return table != 0 && table == e.memory().guard }

// keepServed keeps the farms whose rules the kernel has, for a guard.
func (e *Engine) keepServed(farms []*farm.Farm) { e.memory().inKernel.Store(&farms) }

// A guardian loads a guard as soon as the kernel tells that table inet farmc is gone. The next steps of watch compare
// rules and compile, which takes so long that connections are lost, or they wait for the end of a pause.
type guardian struct {
	engine *Engine
	last   time.Time        // of the last guard
	due    <-chan time.Time // the next guard; nil: none is due
}

// guardPause is the shortest time between two guards: another program could remove each at once.
const guardPause = time.Second

func (e *Engine) guardian() *guardian {
	own := e.For(e.Log, e.Cause, e.Isolate)
	own.Patience = 100 * time.Millisecond // a load that goes on brings the rules back
	return &guardian{engine: own}
}

// observe loads a guard after a transaction that removed the rules, or guardPause after the last one.
func (g *guardian) observe(ctx context.Context, c nft.Transaction) {
	switch pause := guardPause - time.Since(g.last); {
	case !c.Gone:
	case pause > 0:
		g.due = time.After(pause)
	default:
		g.guard(ctx)
	}
}

// guard loads a guard, unless the rules are back. After an error it is due again: a load that was in the way can fail.
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
