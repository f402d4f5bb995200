package live

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Trial is a load that waits to be confirmed, the content of trial.json. After its deadline the next farmc rolls it
// back.
type Trial struct {
	Name     string            `json:"name"`     // unique
	Tried    string            `json:"tried"`    // digest of the script on trial
	Sources  string            `json:"sources"`  // digest of its source files
	Items    map[string]string `json:"items"`    // digest of each farm and list
	Base     string            `json:"base"`     // digest of the script before the trial; "": none
	Deadline time.Duration     `json:"deadline"` // since the boot, sleep included; the wall clock can jump
	Boot     string            `json:"boot"`     // ID of that boot
}

const (
	trialFile = "trial.json"
	heldFile  = "held.json"
)

// Reasons not to load farms that have no fault.
var (
	ErrOnTrial = errors.New("a load waits to be confirmed")
	ErrHeld    = errors.New("these farms were rolled back and are on hold until a file changes")
)

// ErrState reports that a file of the state directory cannot be parsed.
var ErrState = errors.New("state directory")

// Errors of Confirm and Rollback.
var (
	ErrNoTrial        = errors.New("nothing waits to be confirmed")
	ErrTooLate        = errors.New("confirm timed out; the previous farms were restored")
	ErrTrialNotLoaded = errors.New("the load on trial did not finish; the previous farms were restored")
	ErrNoPrevious     = errors.New("there is no previous load to restore")
)

// Trial returns the load that waits to be confirmed, or nil.
func (s Store) Trial() (*Trial, error) {
	var t *Trial
	if err := s.readJSON(trialFile, &t); err != nil {
		return nil, err
	}
	return t, nil
}

// Left returns the time until the deadline. It is negative after the deadline and after a reboot.
func (t *Trial) Left() time.Duration {
	if t.Boot != bootID() {
		return -time.Second
	}
	return t.Deadline - sinceBoot()
}

// pending returns ErrOnTrial with the time left.
func (t *Trial) pending() error {
	if t.Left() < 0 {
		return fmt.Errorf("%w, but its time is over; farmc apply restores the previous farms", ErrOnTrial)
	}
	return fmt.Errorf("%w: %s left for farmc confirm or farmc rollback", ErrOnTrial, t.Left().Round(time.Second))
}

func sinceBoot() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		panic(err) // Linux has it since 2.6.39
	}
	return time.Duration(now.Nano())
}

// bootID returns the kernel's ID of this boot.
func bootID() string {
	name, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(name))
}

// Confirmed reports whether a finished trial was confirmed: its script is the last load, or the previous one if watch
// has loaded a later change since. A rollback leaves no previous load.
func (s Store) Confirmed(digest string) (bool, error) {
	last, err := s.Loaded()
	if err != nil || last.Digest == digest {
		return err == nil, err
	}
	previous, err := s.previous() // renamed before loaded.nft
	return previous == digest, err
}

// A TrialRequest asks for a load on trial. Name must be unique. Timeout is the time to confirm.
type TrialRequest struct {
	Name    string
	Timeout time.Duration
}

// beginTrial records a trial before its load, and returns the function that undoes the record. A trial that replaces
// another one rolls back to the same farms.
func (e *Engine) beginTrial(p *Plan, q request) (undo func(), err error) {
	t := Trial{Name: q.try.Name, Tried: p.Script.Digest, Sources: p.onDisk().Digest(), Items: p.onDisk().Edits(),
		Base:     p.Before.Digest,
		Deadline: sinceBoot() + q.try.Timeout, Boot: bootID()}
	before := any(nil)
	if q.pending != nil {
		t.Base, before = q.pending.Base, *q.pending
	}
	return func() { e.Store.writeJSON(trialFile, before) }, e.Store.writeJSON(trialFile, t)
}

// maxUntried is the time after a load in which Try still takes it for the load that it was asked for.
const maxUntried = time.Hour

// tryLoaded begins a trial of farms that are loaded already: farmc watch or the path unit loads an edit at its save,
// before apply --confirm can. The trial ends with the farms before that edit.
func (e *Engine) tryLoaded(p *Plan, q request) error {
	if q.try == nil || q.pending != nil {
		return nil
	}
	previous, err := e.Store.previous()
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
	t, err := e.Store.Trial()
	switch {
	case err != nil:
		return err
	case t == nil:
		return ErrNoTrial
	case t.Left() < 0:
		_, err := e.rollBackTo(ctx, t.Base, t, notConfirmed)
		return errors.Join(ErrTooLate, err)
	}
	last, err := e.Store.Loaded()
	if err != nil {
		return err
	}
	if last.Digest != t.Tried {
		_, err := e.rollBackTo(ctx, t.Base, t, notConfirmed)
		return errors.Join(ErrTrialNotLoaded, err)
	}
	if c := e.compileKept(sourcesFile, last.Digest); c != nil {
		if err := e.Store.writeBoot(c.boot()); err != nil {
			return err
		}
	}
	if err := e.Store.confirmHistory(); err != nil {
		return err
	}
	if err := e.Store.writeJSON(heldFile, nil); err != nil { // the confirmed files must not stay on hold
		return err
	}
	return e.Store.writeJSON(trialFile, nil)
}

// notConfirmed is the reason of a hold after a deadline.
const notConfirmed = "not confirmed in time"

// Await waits for the end of the trial, and rolls it back after its deadline. It returns once the trial is confirmed,
// rolled back or replaced.
func (e *Engine) Await(ctx context.Context, name string) error {
	for ; ctx.Err() == nil; pause(ctx, 200*time.Millisecond) {
		t, err := e.Store.Trial()
		if err != nil || t == nil || t.Name != name {
			return err
		}
		if t.Left() >= 0 {
			continue
		}
		if _, err := e.RevertOverdue(ctx); err != nil {
			e.Log("%v", err)
			pause(ctx, 5*time.Second)
		}
	}
	return ctx.Err()
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
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
func (e *Engine) revertOverdue(ctx context.Context) (*Trial, error) {
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
