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
	farms := e.memory().inKernel.Load()
	if farms == nil {
		return nil
	}
	sources := ruleset.ReplySources(*farms)
	if len(sources) == 0 {
		return nil
	}
	release, err := e.lock(ctx, func() {})
	if err != nil {
		return err
	}
	defer release()
	table, err := e.Nft.TableHandle(ctx)
	if err == nil && table == 0 {
		err = e.loadGuard(ctx, sources)
	}
	if err != nil {
		return fmt.Errorf("replies of stateless backends are forwarded as they are until the rules are back: %w", err)
	}
	return nil
}

// loadGuard loads a guard, and records its table, which has no counters and no clients that a load must keep.
func (e *Engine) loadGuard(ctx context.Context, sources []ruleset.ReplySource) (err error) {
	if err := e.Nft.GuardReplies(ctx, sources); err != nil {
		return err
	}
	e.memory().guard, err = e.Nft.TableHandle(ctx)
	return err
}

// isGuard reports whether a table is the last guard.
func (e *Engine) isGuard(table uint64) bool { return table != 0 && table == e.memory().guard }

// keepServed keeps the farms whose rules the kernel has, for a guard.
func (e *Engine) keepServed(farms []*farm.Farm) { e.memory().inKernel.Store(&farms) }

// A guardian loads a guard as soon as the kernel tells that table inet farmc is gone. The next steps of watch compare
// rules and compile, which takes so long that connections are lost.
type guardian struct {
	engine *Engine
	last   time.Time // of the last guard
}

// guardPause is the shortest time between two guards: another program could remove each at once.
const guardPause = time.Second

func (e *Engine) guardian() *guardian {
	own := e.For(e.Log, e.Cause, e.Isolate)
	own.Patience = 100 * time.Millisecond // a load that goes on brings the rules back
	return &guardian{engine: own}
}

// observe loads a guard after a transaction that removed the rules. An error is left to the next call of GuardReplies,
// which follows if the rules are still missing.
func (g *guardian) observe(ctx context.Context, c nft.Transaction) {
	if now := time.Now(); c.Gone && now.Sub(g.last) > guardPause {
		g.last = now
		_ = g.engine.GuardReplies(ctx)
	}
}

// madeGuard reports whether a transaction is the load of a guard: all others that farmc sends without nft change
// elements, or unload.
func madeGuard(c nft.Transaction) bool {
	return c.Program == "farmc" && !c.Lost && !c.Gone && c.Sets == nil
}
