package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"farmc/cmd/internal/source"
)

// A stateDeadline is the end of a state or a weight of a backend, an entry of deadlines.json. The wall clock counts,
// because the end must survive a reboot.
type stateDeadline struct {
	Farm    string    `json:"farm"`
	Backend string    `json:"backend"`
	State   string    `json:"state,omitempty"` // "": it is a weight
	Weight  int       `json:"weight,omitempty"`
	File    string    `json:"file"` // path of the drop-in
	Text    string    `json:"text"` // its content; a file with another one is not removed
	End     time.Time `json:"end"`
}

// deadlinesFile maps the names of drop-ins to their deadlines.
const deadlinesFile = "deadlines.json"

func (e *Engine) deadlines() (map[string]stateDeadline, error) {
	all := map[string]stateDeadline{}
	err := e.Store.ReadJSON(deadlinesFile, &all)
	return all, err
}

// deadlineFile returns the change that records the deadline of a drop-in, or removes the record if there is none.
func (e *Engine) deadlineFile(name string, d *stateDeadline, files Files) ([]source.Change, error) {
	return e.editDeadlines(files, func(all map[string]stateDeadline) {
		delete(all, name)
		if d != nil {
			all[name] = *d
		}
	})
}

// ForgetEnds returns the change that forgets when drop-ins of farmc end, by their names in a directory of farms.
func (f Files) ForgetEnds(names []string) ([]source.Change, error) {
	return f.engine.editDeadlines(f, func(all map[string]stateDeadline) {
		for _, name := range names {
			delete(all, name)
		}
	})
}

// editDeadlines returns the change of the record of all deadlines.
func (e *Engine) editDeadlines(files Files, edit func(map[string]stateDeadline)) ([]source.Change, error) {
	path := filepath.Join(e.Store.Dir, deadlinesFile)
	before, err := files.Read(path)
	if err != nil {
		return nil, err
	}
	all := map[string]stateDeadline{}
	if before != nil {
		if err := json.Unmarshal(before, &all); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	was := maps.Clone(all)
	switch edit(all); {
	case maps.Equal(all, was):
		return nil, nil
	case len(all) == 0:
		return []source.Change{{Path: path, Before: before}}, nil
	}
	text, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return files.Replace(path, text)
}

func (e *Engine) writeDeadlines(all map[string]stateDeadline) error {
	if len(all) == 0 {
		return e.Store.WriteJSON(deadlinesFile, nil)
	}
	return e.Store.WriteJSON(deadlinesFile, all)
}

// NextDeadline returns the time until the next state of a backend ends, and false if none has an end.
func (e *Engine) NextDeadline() (time.Duration, bool) {
	all, err := e.deadlines()
	if err != nil || len(all) == 0 {
		return 0, false
	}
	sooner := func(a, b stateDeadline) int { return a.End.Compare(b.End) }
	next := slices.MinFunc(slices.Collect(maps.Values(all)), sooner)
	return time.Until(next.End), true
}

// EndOverdueStates removes the drop-ins whose time is over, and returns a sentence for each. The caller loads the farms
// after that.
func (e *Engine) EndOverdueStates(ctx context.Context) ([]string, error) {
	release, err := e.lock(ctx, func() {})
	if err != nil {
		return nil, err
	}
	defer release()
	all, err := e.deadlines()
	if err != nil {
		return nil, err
	}
	var ended []string
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(all)) {
		d := all[name]
		if time.Until(d.End) > 0 {
			continue
		}
		if err := d.remove(); err != nil {
			errs = append(errs, err)
			continue
		}
		delete(all, name)
		ended = append(ended, fmt.Sprintf("%s: backend %s: the time of %s is over", d.Farm, d.Backend, d.what()))
	}
	if len(ended) > 0 {
		errs = append(errs, e.writeDeadlines(all))
	}
	return ended, errors.Join(errs...)
}

// what names the state or the weight.
func (d stateDeadline) what() string {
	if d.State == "" {
		return fmt.Sprintf("weight %d", d.Weight)
	}
	return "state " + d.State
}

// remove removes the drop-in unless it was edited.
func (d stateDeadline) remove() error {
	text, err := os.ReadFile(d.File)
	if errors.Is(err, fs.ErrNotExist) || err == nil && string(text) != d.Text {
		return nil
	}
	if err == nil {
		err = os.Remove(d.File)
	}
	if err != nil {
		return fmt.Errorf("cannot end %s of backend %s of farm %s: %w", d.what(), d.Backend, d.Farm, err)
	}
	return nil
}
