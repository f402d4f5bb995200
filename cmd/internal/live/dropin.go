package live

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"farmc/cmd/internal/source"
	"farmc/compiler/farm"
	"farmc/compiler/toml"
)

// A ownSetting is a drop-in of farmc about one backend that lasts until it is removed, or until a time.
type ownSetting struct {
	name    string // in a directory of farms
	text    string // "": the drop-in is removed
	keep    bool   // in the first directory
	ends    stateDeadline
	lasting time.Duration // 0: no end
}

// dropIn returns the drop-in of a state.
func (change StateChange) dropIn() ownSetting {
	s := ownSetting{name: source.StateDropIn(change.Farm, change.Backend), keep: change.Keep, lasting: change.For,
		ends: stateDeadline{Farm: change.Farm, Backend: change.Backend, State: string(change.State)}}
	if change.State != farm.Up {
		s.text = change.text()
	}
	return s
}

// changes returns the changes of files. The drop-in goes to the directory of the highest precedence, or with keep to
// the first one, and then no other directory may have it. A removal concerns all directories.
func (s ownSetting) changes(files Files) (changes []source.Change, err error) {
	if s.lasting > 0 && !files.engine.Store.WatcherRuns() {
		return nil, ErrNoWatcher
	}
	path := "" // of the drop-in; "": it is removed
	if s.text != "" {
		dir, err := files.DropInDir(s.keep)
		if err != nil {
			return nil, err
		}
		path = dir + "/" + s.name
	}
	var d *stateDeadline
	switch {
	case s.text == "":
		changes, err = files.removals(s.name, "")
	case s.keep:
		changes, err = files.removals(s.name, path)
	}
	if s.text != "" && err == nil {
		var own []source.Change
		own, err = files.Replace(path, []byte(s.text))
		changes = append(changes, own...)
	}
	if err != nil {
		return nil, err
	}
	if s.text != "" && s.lasting > 0 {
		d = &s.ends
		d.File, d.Text, d.End = path, s.text, time.Now().Add(s.lasting)
	}
	more, err := files.engine.deadlineFile(s.name, d, files)
	return append(changes, more...), err
}

// Replace returns the change that gives a file the text; none if it has the text.
func (f Files) Replace(path string, text []byte) ([]source.Change, error) {
	before, err := f.Read(path)
	if err != nil || before != nil && bytes.Equal(before, text) {
		return nil, err
	}
	return []source.Change{{Path: path, Text: text, Before: before}}, nil
}

// Remove returns the changes that remove a file from all directories that programs may write to.
func (f Files) Remove(name string) (changes []source.Change, err error) { return f.removals(name, "") }

// removals returns the changes that remove a file from all directories that programs may write to, apart from the one
// at the path.
func (f Files) removals(name, except string) (changes []source.Change, err error) {
	for _, dir := range slices.DeleteFunc(f.Dirs(), f.IsReadOnly) {
		path := dir + "/" + name
		before, err := f.Read(path)
		if err != nil {
			return nil, err
		}
		if before != nil && path != except {
			changes = append(changes, source.Change{Path: path, Before: before})
		}
	}
	return changes, nil
}

// text returns the text of the drop-in. The names are of a farm and a backend that exist.
func (change StateChange) text() string {
	return fmt.Sprintf("# Written by farmc %s. farmc up %s %s removes it.%s\n%s\nstate = %[1]q\n",
		change.State, change.Farm, change.Backend, until(change.For), toml.TableHeading("backends", change.Backend))
}

// until returns the sentence about the end of a drop-in.
func until(lasting time.Duration) string {
	if lasting == 0 {
		return ""
	}
	return " farmc watch removes it at " + time.Now().Add(lasting).Format(time.RFC3339) + "."
}
