package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Trial is a load that waits to be confirmed. It is kept as trial.json: whoever comes by after its time goes back.
type Trial struct {
	Name     string        `json:"name"`     // no other trial has it
	Tried    string        `json:"tried"`    // the digest of the script
	Sources  string        `json:"sources"`  // and of the files
	Base     string        `json:"base"`     // the digest of the script to go back to; "": there was none
	Deadline time.Duration `json:"deadline"` // since the boot, asleep or awake: the time of day may jump
	Boot     string        `json:"boot"`     // which boot that was
}

// held.json tells which files were taken back, and are not loaded again until one changes.
type hold struct {
	Sources []string `json:"sources"` // digests
	Why     string   `json:"why"`
}

const (
	trialFile = "trial.json"
	heldFile  = "held.json"
)

// Why the farms are not loaded though they have no fault.
var (
	ErrOnTrial = errors.New("what was loaded waits to be confirmed") // and nothing is loaded meanwhile
	ErrHeld    = errors.New("these farms were taken back, and are held until a file changes")
)

// ErrState says that a file of the state directory is not what it should be.
var ErrState = errors.New("state directory")

// What is wrong with a wish to confirm or to go back.
var (
	ErrNoTrial        = errors.New("nothing waits to be confirmed")
	ErrTooLate        = errors.New("too late: the time to confirm is over, so farmc went back to the farms before")
	ErrTrialNotLoaded = errors.New("what is to be confirmed was not loaded to the end, so farmc went back to the farms before")
	ErrNoPrevious     = errors.New("there is nothing to go back to")
)

// Trial gives the load that waits to be confirmed, or nil.
func (s Store) Trial() (*Trial, error) {
	var t *Trial
	if err := s.readJSON(trialFile, &t); err != nil {
		return nil, err
	}
	return t, nil
}

// Left is how long there is to confirm; it is negative once that is over, also by a boot.
func (t *Trial) Left() time.Duration {
	if t.Boot != bootID() {
		return -time.Second
	}
	return t.Deadline - sinceBoot()
}

// waits says that nothing else is loaded meanwhile.
func (t *Trial) pending() error {
	if t.Left() < 0 {
		return fmt.Errorf("%w, and nobody did in time: farmc apply takes it back", ErrOnTrial)
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

// bootName tells one boot of this machine from another.
func bootID() string {
	name, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(name))
}

// Confirmed says whether a trial that is over was confirmed: the script of this digest is what counts, or was before
// something else was loaded, as watch does at once with what changed meanwhile. Who goes back leaves none before.
func (s Store) Confirmed(digest string) (bool, error) {
	kept, err := s.Loaded()
	if err != nil || kept.Digest == digest {
		return err == nil, err
	}
	previous, err := s.previous() // which gets its name before the new one does
	return previous == digest, err
}

// holding says why the files of these sources are held, or "".
func (s Store) heldBecause(sources string) (string, error) {
	var h hold
	if err := s.readJSON(heldFile, &h); err != nil {
		return "", err
	}
	if slices.Contains(h.Sources, sources) {
		return h.Why, nil
	}
	return "", nil
}

// letGo ends a hold of other files than these.
func (s Store) releaseHold(sources string) error {
	why, err := s.heldBecause(sources)
	if err != nil || why != "" {
		return err
	}
	return s.writeJSON(heldFile, nil)
}

// readJSON leaves the value as it is where there is no such file.
func (s Store) readJSON(name string, into any) error {
	text, err := os.ReadFile(filepath.Join(s.Dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w; rm %s, if another version of farmc has left it", ErrState, name, err, filepath.Join(s.Dir, name))
	}
	return nil
}

// writeJSON puts a file there, whole; nil removes it.
func (s Store) writeJSON(name string, value any) error {
	path := filepath.Join(s.Dir, name)
	if value == nil {
		err := os.Remove(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return fmt.Errorf("state directory: %w", err)
		}
		return s.sync()
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	if err := s.write(name, text); err != nil {
		return err
	}
	return errors.Join(os.Rename(path+pending, path), s.sync())
}

// A Try is a wish to have a load confirmed.
type TrialRequest struct {
	Name    string
	Timeout time.Duration
}

// begin notes a trial before it is loaded, and gives what takes that back. A trial that takes the place of another one
// goes back to the same farms.
func (e *Engine) beginTrial(try TrialRequest, p *Plan, other *Trial) (undo func(), err error) {
	t := Trial{Name: try.Name, Tried: p.Script.Digest, Sources: p.onDisk().Digest(), Base: p.Before.Digest, Deadline: sinceBoot() + try.Timeout, Boot: bootID()}
	before := any(nil)
	if other != nil {
		t.Base, before = other.Base, *other
	}
	return func() { e.Store.writeJSON(trialFile, before) }, e.Store.writeJSON(trialFile, t)
}

// Confirm keeps what was loaded on trial.
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
	kept, err := e.Store.Loaded()
	if err != nil {
		return err
	}
	if kept.Digest != t.Tried {
		_, err := e.rollBackTo(ctx, t.Base, t, notConfirmed)
		return errors.Join(ErrTrialNotLoaded, err)
	}
	if c := e.compileKept(sourcesFile, kept.Digest); c != nil {
		if err := e.Store.writeBoot(c.boot()); err != nil {
			return err
		}
	}
	if err := e.Store.writeJSON(heldFile, nil); err != nil { // whichever were held may come again, these first
		return err
	}
	return e.Store.writeJSON(trialFile, nil)
}

const notConfirmed = "nobody confirmed them"

// Await goes back when the time of a trial is over, unless it is confirmed, or another one takes its place.
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

// Overdue goes back if the time of a trial is over and nobody has done so, and says whether it did.
func (e *Engine) RevertOverdue(ctx context.Context) (bool, error) {
	release, err := e.lock(ctx, func() {})
	if err != nil {
		return false, err
	}
	defer release()
	t, err := e.revertOverdue(ctx)
	return t == nil && err == nil, err
}

// overdue gives the trial whose time isn't over; if it is, it goes back.
func (e *Engine) revertOverdue(ctx context.Context) (*Trial, error) {
	t, err := e.Store.Trial()
	if t == nil || err != nil || t.Left() >= 0 {
		return t, err
	}
	e.Log("%s, so farmc goes back to the farms before", strings.Replace(notConfirmed, "them", "what was loaded", 1))
	if _, err := e.rollBackTo(ctx, t.Base, t, notConfirmed); err != nil {
		return t, fmt.Errorf("can't go back: %w", err)
	}
	return nil, nil
}
