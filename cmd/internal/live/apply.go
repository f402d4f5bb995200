package live

import (
	"cmp"
	"context"
	"errors"

	"farmc/cmd/internal/preflight"
	"farmc/cmd/internal/statedir"
	"farmc/compiler/diag"
)

// Apply compiles the farms, loads the script in one transaction and records it in the state directory. If the kernel
// has the script already, Apply loads nothing. If any step fails, the running rules and the last good script stay; if
// the kernel has no rules then, Apply loads the last good script.
func (e *Engine) Apply(ctx context.Context) (Plan, diag.Diagnostics, error) {
	return e.apply(ctx, request{readAll: true})
}

// ApplyBecause is Apply with a reason to load even if the kernel's ruleset looks right. An empty reason means none. It
// does not look at the machine: the caller calls LookAfter, or Look later.
func (e *Engine) ApplyBecause(ctx context.Context, reason string) (Plan, diag.Diagnostics, error) {
	return e.applyAlone(ctx, request{reason: reason})
}

// Try is Apply for a load that is rolled back unless it is confirmed within try.Timeout. Await rolls it back, or else
// the next call of Apply, Confirm or RevertOverdue.
func (e *Engine) Try(ctx context.Context, try TrialRequest) (Plan, diag.Diagnostics, error) {
	return e.apply(ctx, request{try: &try, readAll: true})
}

// A request is a call of Apply, ApplyBecause or Try.
type request struct {
	reason  string          // to load even if the kernel's ruleset looks right; "": none
	try     *TrialRequest   // of Try; nil: the load needs no confirmation
	pending *statedir.Trial // earlier load that waits to be confirmed; nil: none
	files   *fileWrites     // of Write; nil: no file changes
	readAll bool            // also files that have not changed by the news: a person asks for it
}

// apply handles a request, and looks at the machine afterwards.
func (e *Engine) apply(ctx context.Context, q request) (Plan, diag.Diagnostics, error) {
	p, diagnostics, err := e.applyAlone(ctx, q)
	p.Look = e.LookAfter(ctx, p)
	return p, diagnostics, err
}

// applyAlone handles a request under the lock of the state directory.
func (e *Engine) applyAlone(ctx context.Context, q request) (Plan, diag.Diagnostics, error) {
	release, err := e.lock(ctx, func() { e.Log("waiting for another farmc to finish") })
	if err != nil {
		return Plan{}, nil, err
	}
	defer release()
	e.Store.RemovePending()
	p, diagnostics, err := e.applyLocked(ctx, q)
	if err != nil {
		e.withdrawUnserved(ctx)
	}
	return p, diagnostics, err
}

// applyLocked handles a request. The caller holds the lock of the state directory.
func (e *Engine) applyLocked(ctx context.Context, q request) (Plan, diag.Diagnostics, error) {
	var err error
	if q.pending, err = e.revertOverdue(ctx); err != nil {
		return Plan{}, nil, err
	}
	if q.readAll {
		e.memory().unfollow()
	}
	c, faulty := e.setAside(e.compile())
	if e.Insecure {
		c.diagnostics = append(c.diagnostics, e.checkStateDir()...)
	}
	p, diagnostics, err := e.applyCompiled(ctx, c, q)
	return faulty.report(p, diagnostics, err)
}

// applyCompiled loads the compilation. Farms on hold stay as they were loaded last.
func (e *Engine) applyCompiled(ctx context.Context, c *compilation, q request) (Plan, diag.Diagnostics, error) {
	if q.try != nil || q.pending != nil {
		return e.applyAdmitted(ctx, c, q)
	}
	held, err := e.releaseHolds(c)
	if err != nil || held.blocks && !held.loads(e.Store) {
		if err == nil {
			err = held.err()
		}
		p := Plan{compilation: c}
		return p, append(c.diagnostics, e.fallBack(ctx, &p, q.reason)...), err
	}
	if !held.blocks {
		return e.applyAdmitted(ctx, c, q)
	}
	p, diagnostics, err := e.applyAdmitted(ctx, held.mixed, q)
	if err == nil || p.Isolated != nil {
		p.Held = held.descriptions()
		err = cmp.Or(err, held.err())
	}
	return p, diagnostics, err
}

// releaseHolds ends the holds of farms that changed, and returns the others.
func (e *Engine) releaseHolds(c *compilation) (heldBack, error) {
	held, err := e.heldBack(c)
	if err != nil {
		return held, err
	}
	return held, e.releaseHold(held.items)
}

// applyAdmitted loads a compilation without farms on hold. If that is refused it isolates the faulty farms, or else
// restores the last good script.
func (e *Engine) applyAdmitted(ctx context.Context, c *compilation, q request) (Plan, diag.Diagnostics, error) {
	e.refuseTakenPorts(ctx, c)
	refusal := e.refusal(c, q)
	if e.Isolate && refusal == ErrFaulty && !c.untrustedDir {
		if refusal = e.admit(q); refusal == nil {
			return e.applyIsolated(ctx, c, q)
		}
	}
	diagnostics := c.diagnostics
	if refusal != nil {
		p := Plan{compilation: c}
		return p, append(diagnostics, e.fallBack(ctx, &p, q.reason)...), refusal
	}
	p, more, err := e.loadCompiled(ctx, c, q)
	if e.Isolate && errors.Is(err, ErrFaulty) {
		c.diagnostics, c.faults = append(diagnostics, more...), append(c.faults, more...)
		return e.applyIsolated(ctx, c, q)
	}
	if errors.Is(err, ErrFaulty) {
		more = append(more, e.fallBack(ctx, &p, q.reason)...)
	}
	return p, append(diagnostics, more...), err
}

// applyIsolated loads the correct farms and keeps the faulty ones as they were loaded last. A complaint of nft about a
// farm is a fault.
func (e *Engine) applyIsolated(ctx context.Context, c *compilation, q request) (Plan, diag.Diagnostics, error) {
	diagnostics, faults := c.diagnostics, c.faults
	for i := e.isolation(c); ; {
		mixed := i.repair(faults)
		if mixed == nil {
			p := Plan{compilation: c}
			return p, append(diagnostics, e.fallBack(ctx, &p, q.reason)...), ErrFaulty
		}
		if lost := e.faultsOfLoss(ctx, i); len(lost) > 0 {
			p := Plan{compilation: c}
			return p, append(append(diagnostics, lost...), e.fallBack(ctx, &p, q.reason)...), ErrFaulty
		}
		mixed.addNetwork(c)
		mixed.actual = c.onDisk()
		mixed.diagnostics = nil
		if e.refuseTakenPorts(ctx, mixed) {
			c.waitsForPorts = true
			diagnostics, faults = append(diagnostics, mixed.diagnostics...), mixed.diagnostics
			continue
		}
		mixed.waitsForPorts = c.waitsForPorts
		p, more, err := e.loadCompiled(ctx, mixed, q)
		diagnostics = append(diagnostics, more...)
		if err == nil {
			p.Isolated = i.descriptions()
			return p, diagnostics, ErrFaulty
		}
		if !errors.Is(err, ErrFaulty) {
			return p, diagnostics, err
		}
		faults = more
	}
}

// loadCompiled loads the compilation, unless the kernel and the state directory have it already.
func (e *Engine) loadCompiled(ctx context.Context, c *compilation, q request) (Plan, diag.Diagnostics, error) {
	p, err := e.plan(ctx, c, q.reason)
	if err != nil {
		return p, nil, err
	}
	if e.Idle && len(c.script.Farms) == 0 && p.Before.Script == nil && p.kernelDigest == "" {
		p.UpToDate = true
		return p, nil, nil
	}
	preflight.LoadTranslators(ctx, c.script.Farms)
	var diagnostics diag.Diagnostics
	if p.UpToDate && p.Before.Digest == c.script.Digest && p.Before.Farms != nil && len(p.Changes) == 0 {
		e.keepServed(c.script.Farms)
		e.announce(c.script.Farms)
		err = cmp.Or(e.extendTrial(&p, q), e.tryLoaded(&p, q))
	} else {
		diagnostics, err = e.loadRequested(ctx, &p, q)
		if err != nil {
			return p, diagnostics, err
		}
	}
	p.InForce = true
	return p, diagnostics, err
}

// loadRequested loads a plan, on trial if the request asks for it.
func (e *Engine) loadRequested(ctx context.Context, p *Plan, q request) (diag.Diagnostics, error) {
	p.keepPrevious, p.files = q.pending != nil, q.files
	undo := func() {}
	if q.try != nil && !p.UpToDate {
		var err error
		if undo, err = e.beginTrial(p, q); err != nil {
			return nil, err
		}
		p.OnTrial, p.unconfirmed = true, true
	}
	diagnostics, err := e.load(ctx, p)
	if err != nil && !errors.Is(err, ErrUnkept) {
		undo()
	}
	return diagnostics, err
}

// refusal returns why the compilation must not be loaded: ErrFaulty, or an error of admit.
func (e *Engine) refusal(c *compilation, q request) error {
	if c.diagnostics.Faulty() {
		return ErrFaulty
	}
	return e.admit(q)
}

// admit returns why nothing may be loaded now, faults aside.
func (e *Engine) admit(q request) error {
	if q.try != nil || q.pending == nil {
		return nil
	}
	return unconfirmed(q.pending)
}

// extendTrial restarts the time of a pending trial if Try asks for the same load again.
func (e *Engine) extendTrial(p *Plan, q request) error {
	if q.try == nil || q.pending == nil {
		return nil
	}
	p.OnTrial = true
	_, err := e.beginTrial(p, q)
	return err
}

// fallBack restores the last good script after the planned one was refused.
func (e *Engine) fallBack(ctx context.Context, p *Plan, reason string) diag.Diagnostics {
	last, diagnostics, err := e.restore(ctx, reason)
	p.compilation.addNetwork(last.compilation)
	p.Restored, p.Reason = last.Restored && err == nil, last.Reason
	if err != nil && ctx.Err() == nil {
		e.Log("cannot load the last good script again: %v", err)
	}
	return diagnostics
}
