package live

import (
	"context"
	"errors"
	"fmt"
	"time"

	"farmc/cmd/internal/machine"
	"farmc/cmd/internal/pause"
	"farmc/cmd/internal/statedir"
)

// Reasons not to load farms that have no fault.
var (
	ErrOnTrial = errors.New("a load waits to be confirmed")
	ErrHeld    = errors.New("these farms were rolled back and are on hold until a file changes")
)

// Errors of Confirm and Rollback.
var (
	ErrNoTrial        = errors.New("nothing waits to be confirmed")
	ErrTooLate        = errors.New("confirm timed out; the previous farms were restored")
	ErrTrialNotLoaded = errors.New("the load on trial did not finish; the previous farms were restored")
	ErrNoPrevious     = errors.New("there is no previous load to restore")
)

// unconfirmed returns ErrOnTrial with the time left.
func unconfirmed(t *statedir.Trial) error {
	if t.Left() < 0 {
		return fmt.Errorf("%w, but its time is over; farmc apply restores the previous farms", ErrOnTrial)
	}
	return fmt.Errorf("%w: %s left for farmc confirm or farmc rollback", ErrOnTrial, t.Left().Round(time.Second))
}

// A TrialRequest asks for a load on trial. Name must be unique. Timeout is the time to confirm.
type TrialRequest struct {
	Name    string
	Timeout time.Duration
}

// beginTrial records a trial before its load, and returns the function that undoes the record. A trial that replaces
// another one rolls back to the same farms.
func (e *Engine) beginTrial(p *Plan, q request) (undo func(), err error) {
	sources := p.onDisk()
	t := statedir.Trial{Name: q.try.Name, Tried: p.Script.Digest, Sources: sources.Digest(), Items: sources.Edits(),
		Base:     p.Before.Digest,
		Deadline: machine.SinceBoot() + q.try.Timeout, Boot: machine.BootID()}
	before := any(nil)
	if q.pending != nil {
		t.Base, before = q.pending.Base, *q.pending
	}
	return func() { e.Store.WriteJSON(statedir.TrialFile, before) }, e.Store.WriteJSON(statedir.TrialFile, t)
}

// maxUntried is the time after a load in which Try still takes it for the load that it was asked for.
const maxUntried = time.Hour

// tryLoaded begins a trial of farms that are loaded already: farmc watch or the path unit loads an edit at its save,
// before apply --confirm can. The trial ends with the farms before that edit.
func (e *Engine) tryLoaded(p *Plan, q request) error {
	if q.try == nil || q.pending != nil {
		return nil
	}
	previous, err := e.Store.PreviousDigest()
	if err != nil || previous == "" || previous == p.Script.Digest {
		return err
	}
	all, err := e.Store.History()
	if err != nil || len(all) == 0 || all[0].Confirmed || time.Since(all[0].Time) > maxUntried ||
		all[0].Edits != p.sources.EditsDigest() {
		return err
	}
	before := *p
	before.Before.Digest = previous
	if _, err = e.beginTrial(&before, q); err == nil {
		p.OnTrial, p.LoadedBefore = true, &all[0]
	}
	return err
}

// Confirm keeps the load on trial, also for the next boot, and ends all holds. After the deadline Confirm rolls back
// and returns ErrTooLate.
func (e *Engine) Confirm(ctx context.Context) error {
	release, err := e.lock(ctx, func() { e.Log("waiting for another farmc to finish") })
	if err != nil {
		return err
	}
	defer release()
	t, err := e.trialToConfirm()
	if errors.Is(err, ErrTooLate) || errors.Is(err, ErrTrialNotLoaded) {
		_, failed := e.rollBackTo(ctx, t.Base, t, notConfirmed)
		return errors.Join(err, failed)
	}
	if err != nil {
		return err
	}
	if c := e.compileKept(t.Tried); c != nil {
		if err := e.Store.WriteBoot(c.boot().Text); err != nil {
			return err
		}
	}
	if err := e.Store.ConfirmHistory(); err != nil {
		return err
	}
	if err := e.Store.WriteJSON(statedir.HeldFile, nil); err != nil { // the confirmed files must not stay on hold
		return err
	}
	return e.Store.WriteJSON(statedir.TrialFile, nil)
}

// trialToConfirm returns the load on trial. If it cannot be confirmed, the error is ErrNoTrial, ErrTooLate or
// ErrTrialNotLoaded.
func (e *Engine) trialToConfirm() (*statedir.Trial, error) {
	t, err := e.Store.Trial()
	switch {
	case err != nil:
		return nil, err
	case t == nil:
		return nil, ErrNoTrial
	case t.Left() < 0:
		return t, ErrTooLate
	}
	last, err := e.Store.Loaded()
	if err == nil && last.Digest != t.Tried {
		err = ErrTrialNotLoaded
	}
	return t, err
}

// DryConfirm returns the error that Confirm would return. Nothing changes.
func (e *Engine) DryConfirm(ctx context.Context) error {
	release, err := e.lock(ctx, func() {})
	if err != nil {
		return err
	}
	defer release()
	_, err = e.trialToConfirm()
	return err
}

// notConfirmed is the reason of a hold after a deadline.
const notConfirmed = "not confirmed in time"

// Await waits for the end of the trial, and rolls it back after its deadline. It returns once the trial is confirmed,
// rolled back or replaced.
func (e *Engine) Await(ctx context.Context, name string) error {
	for ; ctx.Err() == nil; pause.For(ctx, 200*time.Millisecond) {
		t, err := e.Store.Trial()
		if err != nil || t == nil || t.Name != name {
			return err
		}
		if t.Left() >= 0 {
			continue
		}
		if _, err := e.RevertOverdue(ctx); err != nil {
			e.Log("%v", err)
			pause.For(ctx, 5*time.Second)
		}
	}
	return ctx.Err()
}

// RevertOverdue rolls back a trial after its deadline, and reports whether no trial is left.
func (e *Engine) RevertOverdue(ctx context.Context) (bool, error) {
	release, err := e.lock(ctx, func() {})
	if err != nil {
		return false, err
	}
	defer release()
	t, err := e.revertOverdue(ctx)
	return t == nil && err == nil, err
}

// revertOverdue returns the trial before its deadline. After the deadline it rolls back and returns nil.
func (e *Engine) revertOverdue(ctx context.Context) (*statedir.Trial, error) {
	t, err := e.Store.Trial()
	if t == nil || err != nil || t.Left() >= 0 {
		return t, err
	}
	e.Log("the load was not confirmed in time: restoring the previous farms")
	if _, err := e.rollBackTo(ctx, t.Base, t, notConfirmed); err != nil {
		return t, fmt.Errorf("cannot restore the previous farms: %w", err)
	}
	return nil, nil
}
