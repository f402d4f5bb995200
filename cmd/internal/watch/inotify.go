package watch

import (
	"context"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// A sentry listens to inotify about the directories, and about every directory on the way to them and to what their
// links lead to: where a part of a path comes, goes or is another link, the path leads elsewhere.
//
// Everything is watched before it is looked at, so that a change after the look is an event.
type sentry struct {
	dirs    []string // absolute
	watcher *fsnotify.Watcher
	rooms   map[string]*room // by real path: inotify knows directories, not the ways to them
	lost    chan struct{}    // events were lost; closed with the watcher
	rounds  rounds
	written *unfinished
}

// A room is a directory that is watched.
type room struct {
	farms  bool            // it is of the list: its drop-in directories are rooms too
	inside bool            // what happens in it matters
	doors  map[string]bool // names in it by which ways lead on
}

// post makes a sentry, and it listens already. An error says that inotify can't be had.
func post(dirs []string, written *unfinished) (*sentry, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	s := &sentry{dirs: dirs, watcher: watcher, rooms: map[string]*room{}, lost: make(chan struct{}, 1), rounds: rounds{every: patrol}, written: written}
	go s.drain()
	if err := s.survey(); err != nil {
		s.close()
		return nil, err
	}
	s.rounds.begin(dirs)
	return s, nil
}

// drain keeps taking the watcher's errors. It holds its lock while it offers one (fsnotify 1.10.1, where a directory
// was moved and then removed), so whoever were to add a watch meanwhile, or close it, would wait for ever.
func (s *sentry) drain() {
	defer close(s.lost)
	for range s.watcher.Errors {
		select {
		case s.lost <- struct{}{}:
		default:
		}
	}
}

func (s *sentry) close() {
	s.watcher.Close()
	for range s.lost {
	}
}

// listen sends what matters until ctx is done. An error says that inotify can't be had any more.
func (s *sentry) listen(ctx context.Context, changes chan<- struct{}) error {
	defer s.close()
	for ctx.Err() == nil {
		matters, err := s.next(ctx)
		if matters {
			tell(ctx, changes)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// next waits for something to happen and says whether it matters.
func (s *sentry) next(ctx context.Context) (bool, error) {
	select {
	case <-ctx.Done():
		return false, nil
	case event := <-s.watcher.Events:
		return s.hear(event)
	case <-s.lost:
		return true, s.survey()
	case <-s.rounds.due:
		if !s.rounds.news() {
			return false, nil
		}
		return true, s.survey()
	}
}

func tell(ctx context.Context, changes chan<- struct{}) {
	select {
	case changes <- struct{}{}:
	case <-ctx.Done():
	}
}

// hear says whether an event matters, and goes where it leads.
func (s *sentry) hear(event fsnotify.Event) (bool, error) {
	dir, name := filepath.Dir(event.Name), filepath.Base(event.Name)
	r := s.rooms[dir]
	wanted := r != nil && (r.doors[name] || r.inside && matters(name))
	if wanted && event.Has(fsnotify.Write|fsnotify.Create) {
		s.written.add(event.Name)
	}
	switch {
	case !wanted, event.Op == fsnotify.Write: // what is written into a file changes no way
		return wanted, nil
	case r.doors[name]:
		return true, s.survey()
	}
	return true, s.enter(dir, name)
}
