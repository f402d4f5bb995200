package live

import (
	"bytes"
	"fmt"
	"time"

	"farmc/compiler/farm"
)

// stateDropIn returns the name of the drop-in for the state of a backend. Drop-ins are merged in the order of their
// names, so it overrides the drop-ins of other programs.
func stateDropIn(farm, backend string) string { return farm + ".toml.d/zz-farmc-" + backend + ".toml" }

// stateFiles returns the changes of files for a state: the drop-in in the directory of the highest precedence, and its
// deadline. State up removes the drop-in from all directories.
func (e *Engine) stateFiles(change StateChange, files Files) (changes []FileChange, err error) {
	name := stateDropIn(change.Farm, change.Backend)
	var d *stateDeadline
	if change.State == farm.Up {
		changes, err = files.removals(name)
	} else {
		path := e.Dirs[len(e.Dirs)-1].Path + "/" + name
		text := stateText(change)
		changes, err = files.replace(path, []byte(text))
		if change.For > 0 {
			d = &stateDeadline{Farm: change.Farm, Backend: change.Backend, State: string(change.State), File: path,
				Text: text, End: time.Now().Add(change.For)}
		}
	}
	if err != nil {
		return nil, err
	}
	more, err := e.deadlineFile(name, d, files)
	return append(changes, more...), err
}

// replace returns the change that gives a file the text; none if it has the text.
func (f Files) replace(path string, text []byte) ([]FileChange, error) {
	before, err := f.Read(path)
	if err != nil || before != nil && bytes.Equal(before, text) {
		return nil, err
	}
	return []FileChange{{Path: path, Text: text, Before: before}}, nil
}

// removals returns the changes that remove a file from all directories.
func (f Files) removals(name string) (changes []FileChange, err error) {
	for _, dir := range f.Dirs() {
		path := dir + "/" + name
		before, err := f.Read(path)
		if err != nil {
			return nil, err
		}
		if before != nil {
			changes = append(changes, FileChange{Path: path, Before: before})
		}
	}
	return changes, nil
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
