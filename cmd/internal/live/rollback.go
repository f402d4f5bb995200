package live

import (
	"context"
	"errors"
	"fmt"

	"farmc/cmd/internal/source"
	"farmc/cmd/internal/statedir"
	"farmc/compiler"
	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

// Rollback loads the farms as they were a number of loads ago, at least 1, and holds the farms that it replaces until
// they change. States of backends stay as they are. If a load is on trial, Rollback restores the farms before it. The
// error is ErrNoPrevious if there is nothing to restore.
func (e *Engine) Rollback(ctx context.Context, steps int) (Plan, error) {
	release, err := e.lock(ctx, func() { e.Log("waiting for another farmc to finish") })
	if err != nil {
		return Plan{}, err
	}
	defer release()
	e.Store.RemovePending()
	target, trial, err := e.rollbackTarget(steps)
	if err != nil {
		return Plan{}, err
	}
	return e.rollBack(ctx, target, e.compile().sources, trial, "by farmc rollback")
}

// DryRollback returns the plan of the load that Rollback would do. Nothing changes.
func (e *Engine) DryRollback(ctx context.Context, steps int) (Plan, error) {
	release, err := e.lock(ctx, func() {})
	if err != nil {
		return Plan{}, err
	}
	defer release()
	target, _, err := e.rollbackTarget(steps)
	if err != nil {
		return Plan{}, err
	}
	return e.planRollback(ctx, target)
}

// rollbackTarget returns the load that a rollback restores, and the load on trial that it ends: nil if there is none.
func (e *Engine) rollbackTarget(steps int) (statedir.KeptLoad, *statedir.Trial, error) {
	t, err := e.Store.Trial()
	switch {
	case err != nil:
		return statedir.KeptLoad{}, nil, err
	case t != nil && steps > 1:
		return statedir.KeptLoad{}, t, fmt.Errorf("%w: run farmc rollback without a number first", ErrOnTrial)
	case t != nil:
		target, err := e.loadBefore(t.Base)
		return target, t, err
	}
	target, err := e.earlierLoad(steps)
	return target, nil, err
}

// earlierLoad returns the load of a number of loads ago.
func (e *Engine) earlierLoad(steps int) (statedir.KeptLoad, error) {
	last, err := e.Store.Loaded()
	if err != nil {
		return statedir.KeptLoad{}, err
	}
	all, err := e.Store.History()
	if err != nil {
		return statedir.KeptLoad{}, err
	}
	recorded := len(all) > 1 && all[0].Edits == last.Edits
	previous, err := e.Store.Previous()
	if steps == 1 && !recorded && err == nil && previous.Digest != "" && previous.Digest != last.Digest {
		return previous, nil
	}
	if steps >= len(all) && steps > 1 {
		oldest := max(len(all)-1, 0)
		return statedir.KeptLoad{}, fmt.Errorf("%w: farmc history has the numbers 0 to %d", ErrNoPrevious, oldest)
	}
	if steps >= len(all) {
		return statedir.KeptLoad{}, ErrNoPrevious
	}
	target := e.Store.Archived(all[steps])
	if target.Sources == nil {
		return statedir.KeptLoad{}, fmt.Errorf("%w: %s cannot be read", ErrNoPrevious, all[steps].Archive())
	}
	return target, nil
}

// rollBackTo loads the farms of the script with digest base, which were loaded before a trial.
func (e *Engine) rollBackTo(ctx context.Context, base string, t *statedir.Trial, why string) (Plan, error) {
	target, err := e.loadBefore(base)
	if err != nil {
		return Plan{}, err
	}
	return e.rollBack(ctx, target, e.compile().sources, t, why)
}

// loadBefore returns the load of the script with digest base, which was loaded before a trial. An empty base stands for
// no farms.
func (e *Engine) loadBefore(base string) (statedir.KeptLoad, error) {
	if base == "" {
		none := &source.Files{Roots: []source.Dir{{Path: "no farms"}}, ByPath: map[string]source.File{}}
		return statedir.KeptLoad{Sources: none}, nil
	}
	if target, ok := e.Store.KeptLoadOf(base); ok {
		return target, nil
	}
	return statedir.KeptLoad{}, fmt.Errorf("%w: the script %.12s is not in %s", ErrNoPrevious, base, e.Store.Dir)
}

// rollBack loads a target, and holds the farms that it replaces, with a reason. Each step can be repeated, so a farmc
// that is killed here does no harm.
func (e *Engine) rollBack(
	ctx context.Context, target statedir.KeptLoad, now *source.Files, t *statedir.Trial, why string,
) (Plan, error) {
	h := holdAgainst(target, now, t, why)
	p, err := e.planRollback(ctx, target)
	if err != nil {
		return p, err
	}
	p.keepPrevious, p.mustKeep = true, true
	diagnostics, err := e.load(ctx, &p)
	switch {
	case err != nil && len(diagnostics) > 0:
		return p, errors.Join(err, errors.New(diagnostics[0].Message))
	case err != nil:
		return p, err
	}
	for _, warning := range diagnostics {
		e.Log("warning: %s", warning.Message)
	}
	held := any(h)
	if h.empty() {
		held = nil
	}
	if err := e.Store.WriteJSON(statedir.HeldFile, held); err != nil {
		return p, err
	}
	if err := e.Store.RewindHistory(target.Digest, p.sources.EditsDigest()); err != nil {
		e.Log("warning: cannot keep the history of loads: %v", err)
	}
	e.Store.RemovePrevious() // a second rollback would load the held files
	return p, e.Store.WriteJSON(statedir.TrialFile, nil)
}

// holdAgainst returns the hold of the farms and lists that differ between the files of the trial, or of now, and the
// target.
func holdAgainst(target statedir.KeptLoad, now *source.Files, t *statedir.Trial, why string) hold {
	h := hold{Why: why, Items: map[string]string{}}
	from := now.Edits()
	if t != nil && t.Items != nil {
		from = t.Items
	} else if t != nil {
		h.Sources = []string{t.Sources}
	}
	to := map[string]string{}
	if target.Sources != nil {
		to = target.Sources.Edits()
	}
	for _, item := range farm.Changed(from, to) {
		h.Items[item] = from[item]
	}
	return h
}

// planRollback plans the load of a target with the states of backends of now. A state of a backend that the target
// lacks is left out.
func (e *Engine) planRollback(ctx context.Context, target statedir.KeptLoad) (Plan, error) {
	if target.Sources == nil { // nft still takes the script
		script := &ruleset.Script{Text: target.Script, Digest: target.Digest}
		return e.plan(ctx, &compilation{script: script, sources: &source.Files{}, scriptOnly: true}, "")
	}
	now, _ := e.setAside(e.compile())
	items := farm.Changed(target.Sources.Edits(), now.sources.Edits())
	for _, sources := range []*source.Files{now.sources.WithEdits(target.Sources, items), target.Sources} {
		if c := compileLocal(&compiler.Compiler{}, sources, sources.Dirs()); c.script != nil {
			return e.plan(ctx, c, "")
		}
	}
	if target.Script == nil {
		return Plan{}, fmt.Errorf("%w: its farms have faults for this version of farmc", ErrNoPrevious)
	}
	target.Sources = nil
	return e.planRollback(ctx, target)
}
