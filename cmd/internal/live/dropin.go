package live

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"farmc/compiler/farm"
)

// stateDropIn returns the name of the drop-in for the state of a backend. Drop-ins are merged in the order of their
// names, so it overrides the drop-ins of other programs.
func stateDropIn(farm, backend string) string { return farm + ".toml.d/zz-farmc-" + backend + ".toml" }

// writeState writes the drop-in of a change into the directory of the highest precedence, or removes it from all
// directories for state up. The deadline is kept first: a state without its end is worse than an end without its state.
func (e *Engine) writeState(change StateChange) (undo func() error, err error) {
	name := stateDropIn(change.Farm, change.Backend)
	if change.State == farm.Up {
		return nil, errors.Join(e.removeDropIns(name), e.Store.setDeadline(name, nil))
	}
	path := filepath.Join(e.Dirs[len(e.Dirs)-1].Path, name)
	text := stateText(change)
	var d *stateDeadline
	if change.For > 0 {
		d = &stateDeadline{Farm: change.Farm, Backend: change.Backend, State: string(change.State), File: path,
			Text: text, End: time.Now().Add(change.For)}
	}
	before, readErr := os.ReadFile(path)
	if err := e.Store.setDeadline(name, d); err != nil {
		return nil, err
	}
	if err := writeFile(path, []byte(text)); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot write the drop-in: %w", err), e.Store.setDeadline(name, nil))
	}
	return func() error {
		if readErr == nil {
			return writeFile(path, before)
		}
		return errors.Join(e.removeDropIns(name), e.Store.setDeadline(name, nil))
	}, nil
}

// stateText returns the text of a drop-in. The names are those of a farm and a backend that exist, so they need no
// quotes.
func stateText(change StateChange) string {
	until := ""
	if change.For > 0 {
		until = " farmc watch removes it at " + time.Now().Add(change.For).Format(time.RFC3339) + "."
	}
	return fmt.Sprintf("# Written by farmc %s. farmc up %s %s removes it.%s\n[backends.%[3]s]\nstate = %[5]q\n",
		change.State, change.Farm, change.Backend, until, change.State)
}

// removeDropIns removes a drop-in from all directories.
func (e *Engine) removeDropIns(name string) error {
	var errs []error
	for _, d := range e.Dirs {
		if err := os.Remove(filepath.Join(d.Path, name)); err != nil && !errors.Is(err, fs.ErrNotExist) &&
			!errors.Is(err, fs.ErrInvalid) {
			errs = append(errs, fmt.Errorf("cannot remove the drop-in: %w", err))
		}
	}
	return errors.Join(errs...)
}

// writeFile replaces a file atomically, and creates its directory. The name of the new file is hidden until it is
// complete, so no other farmc reads half of it.
func writeFile(path string, text []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".farmc-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
