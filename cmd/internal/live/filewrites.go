package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"farmc/cmd/internal/journal"
	"farmc/cmd/internal/source"
)

// fileWrites are the changed files of a load.
type fileWrites struct {
	changes []source.Change
	dir     string // state directory, for the journal
	urgent  bool   // go without a journal if the state directory is full

	prepared bool
	step     *journal.Step
}

// prepare writes the new files beside the old ones, before the load of the script with this digest. Nil prepares
// nothing.
func (w *fileWrites) prepare(digest string) error {
	if w == nil || len(w.changes) == 0 {
		return nil
	}
	if err := w.discard(); err != nil { // of the load before, which was refused
		return err
	}
	changes, err := w.journaled()
	if err == nil {
		w.step, err = journal.Prepare(w.dir, digest, changes)
	}
	if err != nil && w.urgent && isFull(err) {
		w.step, err = journal.Prepare("", digest, changes)
	}
	if err != nil && !errors.Is(err, journal.ErrChanged) {
		err = fmt.Errorf("%w: %w", ErrNotSaved, err)
	}
	w.prepared = err == nil
	return err
}

// journaled returns the changes with absolute paths. A new text takes the place of the file that a link leads to; a
// removal removes the link.
func (w *fileWrites) journaled() (out []journal.Change, err error) {
	for _, c := range w.changes {
		path, err := filepath.Abs(c.Path)
		if err != nil {
			return nil, err
		}
		if target, err := filepath.EvalSymlinks(path); err == nil && c.Text != nil {
			path = target
		}
		out = append(out, journal.Change{Path: path, Text: c.Text, Before: c.Before})
	}
	return out, nil
}

// replaceable returns ErrOwner if a new text cannot have the owner and the group of its file, and ErrDangling if a link
// leads to no file.
func replaceable(changes []source.Change) error {
	for _, c := range changes {
		if c.Text == nil {
			continue
		}
		if target, err := os.Readlink(c.Path); err == nil && c.Before == nil {
			return fmt.Errorf("%w: %s leads to %s", ErrDangling, c.Path, target)
		}
		if c.Before == nil {
			continue
		}
		if err := journal.Replaceable(c.Path); err != nil {
			return fmt.Errorf("%w: %w", ErrOwner, err)
		}
	}
	return nil
}

// commit puts the new files in their places, after the load of the script with this digest.
func (w *fileWrites) commit(digest string) error {
	if !w.prepared {
		if err := w.prepare(digest); err != nil {
			return err
		}
	}
	if w.step == nil {
		return nil
	}
	if err := w.step.Verify(); err != nil {
		return err
	}
	err := w.step.Commit()
	if err == nil {
		w.step = nil
	}
	return err
}

// discard removes the new files.
func (w *fileWrites) discard() error {
	if w.step == nil {
		return nil
	}
	step := w.step
	w.step = nil
	return step.Discard()
}

// finishWrites ends the step that a killed farmc left. If the kernel or the state directory has the script of the step,
// the new files take their places; otherwise they are removed. The caller holds the lock of the state directory.
func (e *Engine) finishWrites(ctx context.Context) error {
	step, err := journal.Open(e.Store.Dir)
	if step == nil || err != nil {
		return err
	}
	kernel, err := e.Nft.Loaded(ctx)
	last, lastErr := e.Store.Loaded()
	if err = cmp.Or(err, lastErr); err != nil {
		return err
	}
	if step.Ready() && (step.Token == kernel || step.Token == last.Digest) {
		e.Log("an earlier farmc was killed during a write: the files of its load take their places")
		return step.Commit()
	}
	e.Log("an earlier farmc was killed during a write that it did not load: its new files are removed")
	return step.Discard()
}
