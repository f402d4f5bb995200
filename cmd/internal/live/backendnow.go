package live

import (
	"context"
	"errors"
	"fmt"
	"time"

	"farmc/cmd/internal/conntrack"
	"farmc/cmd/internal/source"
	"farmc/compiler/farm"
)

// ErrNoBackend is the error for a backend that its farm does not have.
var ErrNoBackend = errors.New("there is no such backend")

// A BackendNow is a backend as it was loaded last.
type BackendNow struct {
	State   farm.State `json:"state"`
	File    string     `json:"file"` // that sets the state; "": none does, so it is up
	Line    int        `json:"line"`
	Until   string     `json:"until"`   // RFC 3339, the end of a drain or down; "": none is known
	Weight  int        `json:"weight"`  // as the files say
	Percent int        `json:"percent"` // of the weight that counts
	Open    *int       `json:"open"`    // open tracked connections; null: they are not tracked
	KeepDir string     `json:"keepDir"` // the directory with states and weights that outlast a reboot
}

// BackendNow returns the state of a backend, and counts its open connections.
func (r *Reader) BackendNow(ctx context.Context, name, backend string) (BackendNow, error) {
	s, end, err := r.turn(ctx, r.turns)
	if err != nil {
		return BackendNow{}, err
	}
	defer end()
	f, b, err := s.loadedBackend(name, backend)
	if err != nil {
		return BackendNow{}, err
	}
	now := BackendNow{State: b.State, File: b.StateAt.File, Line: b.StateAt.Line, Weight: b.Weight,
		Percent: percentOf(b), Until: r.engine.endOf(source.StateDropIn(name, backend))}
	if len(r.engine.Dirs) > 0 {
		now.KeepDir = r.engine.Dirs[0].Path
	}
	if f.Tracked() {
		open, err := countOpen(ctx, s.loaded.script.Farms, name, backend)
		if err != nil {
			return BackendNow{}, err
		}
		now.Open = &open
	}
	return now, nil
}

// percentOf returns how much of the weight counts.
func percentOf(b *farm.Backend) int {
	if b.State != farm.Up {
		return 0
	}
	return percent(*b)
}

// endOf returns the end of a drop-in, as RFC 3339.
func (e *Engine) endOf(dropIn string) string {
	all, err := e.deadlines()
	if d, has := all[dropIn]; err == nil && has {
		return d.End.UTC().Format(time.RFC3339)
	}
	return ""
}

// loadedBackend returns a backend of the last load.
func (s *Snapshot) loadedBackend(name, backend string) (*farm.Farm, *farm.Backend, error) {
	f, err := s.loadedFarm(name)
	if err != nil {
		return nil, nil, err
	}
	b := backendOf(f, backend)
	if b == nil {
		return nil, nil, ErrNoBackend
	}
	return f, b, nil
}

// loadedFarm returns a farm of the last load. The error is ErrNotLoaded for another one of the files.
func (s *Snapshot) loadedFarm(name string) (*farm.Farm, error) {
	f, err := (*farm.Farm)(nil), s.known()
	if err == nil {
		f, err = findFarm(s.loaded, name)
	}
	if err == nil {
		return f, nil
	}
	if _, exists := s.Reading(name); exists {
		return nil, ErrNotLoaded
	}
	return nil, fmt.Errorf("%w: %w", ErrNoFarm, err)
}

// FarmWith returns a farm that has the backend: from the files, or if they have faults, of the last load.
func (s *Snapshot) FarmWith(name, backend string) (*farm.Farm, error) {
	reading, exists := s.Reading(name)
	if exists && reading.Farm() != nil && backendOf(reading.Farm(), backend) != nil {
		return reading.Farm(), nil
	}
	f, _, err := s.loadedBackend(name, backend)
	if exists && errors.Is(err, ErrNotLoaded) {
		err = ErrNoBackend
	}
	return f, err
}

// Cut deletes the conntrack entries of a backend, so its connections end at their next packets. It returns the number
// of open connections among them.
func (r *Reader) Cut(ctx context.Context, name, backend string) (open int, err error) {
	s, end, err := r.turn(ctx, r.turns)
	if err != nil {
		return 0, err
	}
	defer end()
	f, _, err := s.loadedBackend(name, backend)
	switch {
	case err != nil:
		return 0, err
	case !f.Tracked():
		return 0, ErrUntracked
	}
	var entries []conntrack.Entry
	err = eachConnection(ctx, s.loaded.script.Farms, name, backend, func(entry conntrack.Entry) {
		entries = append(entries, entry)
	})
	for _, entry := range entries {
		failed := conntrack.Delete(entry)
		if err = errors.Join(err, failed); failed == nil && !entry.Closed {
			open++
		}
	}
	return open, err
}
