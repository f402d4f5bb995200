package live

import (
	"context"
	"errors"

	"farmc/cmd/internal/preflight"
	"farmc/compiler/diag"
)

// Apply compiles the farms, loads the script in one transaction and records it in the state directory. If the kernel
// has the script already, Apply loads nothing. If any step fails, the running rules and the last good script stay; if
// the kernel has no rules then, Apply loads the last good script.
func (e *Engine) Apply(ctx context.Context) (Plan, diag.Diagnostics, error) {
	return e.ApplyBecause(ctx, "")
}

// ApplyBecause is Apply with a reason to load even if the kernel's ruleset looks right. An empty reason means none.
func (e *Engine) ApplyBecause(ctx context.Context, reason string) (Plan, diag.Diagnostics, error) {
	return e.apply(ctx, reason, nil)
}

// Try is Apply for a load that is rolled back unless it is confirmed within try.Timeout. Await rolls it back, or else
// the next call of Apply, Confirm or RevertOverdue.
func (e *Engine) Try(ctx context.Context, try TrialRequest) (Plan, diag.Diagnostics, error) {
	return e.apply(ctx, "", &try)
}

func (e *Engine) apply(ctx context.Context, reason string, try *TrialRequest) (Plan, diag.Diagnostics, error) {
	release, err := e.lock(ctx, func() { e.Log("waiting for another farmc to finish") })
	if err != nil {
		return Plan{}, nil, err
	}
	defer release()
	e.Store.removePending()
	trial, err := e.revertOverdue(ctx)
	if err != nil {
		return Plan{}, nil, err
	}
	c := e.compile()
	if e.Insecure {
		c.diagnostics = append(c.diagnostics, e.checkStateDir()...)
	}
	diagnostics := c.diagnostics
	refusal := e.refusal(c, trial, try)
	if e.Isolate && refusal == ErrFaulty && !c.untrustedDir {
		if refusal = e.admit(c, trial, try); refusal == nil {
			return e.applyIsolated(ctx, c, reason, try, trial)
		}
	}
	if refusal != nil {
		p := Plan{compilation: c}
		more := e.fallBack(ctx, &p, reason)
		return p, append(diagnostics, more...), refusal
	}
	p, more, err := e.loadCompiled(ctx, c, reason, try, trial)
	if e.Isolate && errors.Is(err, ErrFaulty) {
		c.diagnostics, c.faults = append(diagnostics, more...), append(c.faults, more...)
		return e.applyIsolated(ctx, c, reason, try, trial)
	}
	if errors.Is(err, ErrFaulty) {
		more = append(more, e.fallBack(ctx, &p, reason)...)
	}
	return p, append(diagnostics, more...), err
}

// applyIsolated loads the correct farms and keeps the faulty ones as they were loaded last. A complaint of nft about a
// farm counts as a fault.
func (e *Engine) applyIsolated(ctx context.Context, c *compilation, reason string, try *TrialRequest, trial *Trial) (Plan, diag.Diagnostics, error) {
	diagnostics, faults := c.diagnostics, c.faults
	for i := e.isolation(c); ; {
		mixed := i.repair(faults)
		if mixed == nil {
			p := Plan{compilation: c}
			return p, append(diagnostics, e.fallBack(ctx, &p, reason)...), ErrFaulty
		}
		mixed.addInterfaces(c)
		mixed.actual = c.sources
		p, more, err := e.loadCompiled(ctx, mixed, reason, try, trial)
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

// loadCompiled loads the compilation and records it. A try that is not nil makes it a trial; trial is the pending one.
func (e *Engine) loadCompiled(ctx context.Context, c *compilation, reason string, try *TrialRequest, trial *Trial) (Plan, diag.Diagnostics, error) {
	p, err := e.plan(ctx, c, reason)
	if err != nil {
		return p, nil, err
	}
	diagnostics := preflight.LoadTranslators(ctx, c.script.Farms)
	if p.UpToDate && p.Before.Digest == c.script.Digest && p.Before.Farms != nil && len(p.Changes) == 0 {
		return p, append(diagnostics, preflight.Check(ctx, e.Nft, c.script.Farms)...), e.extendTrial(try, &p, trial)
	}
	p.keepPrevious = trial != nil
	undo := func() {}
	if try != nil && !p.UpToDate {
		if undo, err = e.beginTrial(*try, &p, trial); err != nil {
			return p, diagnostics, err
		}
		p.OnTrial, p.unconfirmed = true, true
	}
	more, err := e.load(ctx, &p)
	diagnostics = append(diagnostics, more...)
	if err != nil && !errors.Is(err, ErrUnkept) {
		undo()
	}
	if err != nil {
		return p, diagnostics, err
	}
	return p, append(diagnostics, preflight.Check(context.WithoutCancel(ctx), e.Nft, c.script.Farms)...), nil
}

// refusal returns why the compilation must not be loaded: ErrFaulty, or an error of admit.
func (e *Engine) refusal(c *compilation, trial *Trial, try *TrialRequest) error {
	if c.diagnostics.Faulty() {
		return ErrFaulty
	}
	return e.admit(c, trial, try)
}

// admit returns why nothing may be loaded now, faults aside. If the files may be loaded, admit ends a hold of other
// files.
func (e *Engine) admit(c *compilation, trial *Trial, try *TrialRequest) error {
	if try != nil {
		return nil
	}
	if err := e.blockedBy(c, trial); err != nil {
		return err
	}
	return e.Store.releaseHold(c.sources.Digest())
}

// extendTrial restarts the time of a trial that is applied again.
func (e *Engine) extendTrial(try *TrialRequest, p *Plan, trial *Trial) error {
	if try == nil || trial == nil {
		return nil
	}
	p.OnTrial = true
	_, err := e.beginTrial(*try, p, trial)
	return err
}

// fallBack restores the last good script after the planned one was refused.
func (e *Engine) fallBack(ctx context.Context, p *Plan, reason string) diag.Diagnostics {
	last, diagnostics, err := e.restore(ctx, reason)
	p.compilation.addInterfaces(last.compilation)
	p.Restored, p.Reason = last.Restored && err == nil, last.Reason
	if err != nil && ctx.Err() == nil {
		e.Log("cannot load the last good script again: %v", err)
	}
	return diagnostics
}
