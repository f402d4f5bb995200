package watch

import (
	"context"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// An inotifyWatcher watches the directories of farms, their parents, and the targets of symlinks on the way. If a part
// of a path is created, deleted or replaced by another symlink, the path leads to another directory.
//
// A directory is watched before it is read, so that a change after the reading causes an event.
type inotifyWatcher struct {
	dirs     []string // absolute
	watcher  *fsnotify.Watcher
	watched  map[string]*watchedDir // by real path: inotify watches inodes, not paths
	overflow chan struct{}          // has a value if events were lost; closed with the watcher
	rescan   rescan
	writers  *writers
	unseen   func() // is called at a change without an event
}

// A watchedDir is a directory with an inotify watch.
type watchedDir struct {
	farms    bool            // it is a directory of farms: its drop-in directories are watched, too
	content  bool            // events of all relevant names in it are relevant
	children map[string]bool // names in it that other watched paths pass through
}

// newInotifyWatcher watches the directories. An error means that inotify cannot be used, or not for all of them.
func newInotifyWatcher(dirs []string, open *writers) (*inotifyWatcher, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &inotifyWatcher{dirs: dirs, watcher: watcher, watched: map[string]*watchedDir{},
		overflow: make(chan struct{}, 1), rescan: rescan{every: rescanInterval}, writers: open, unseen: func() {}}
	go w.drain()
	if err := w.watchAll(); err != nil {
		w.close()
		return nil, err
	}
	w.rescan.begin(dirs)
	return w, nil
}

// drain receives the errors of the fsnotify watcher. fsnotify 1.10.1 holds its lock while it sends an error, as for a
// directory that was moved and then deleted. Without drain, the next call of Add or Close would block forever.
func (w *inotifyWatcher) drain() {
	defer close(w.overflow)
	for range w.watcher.Errors {
		select {
		case w.overflow <- struct{}{}:
		default:
		}
	}
}

func (w *inotifyWatcher) close() {
	w.watcher.Close()
	for range w.overflow {
	}
}

// listen sends at each relevant event until ctx is done. An error means that inotify can no longer be used.
func (w *inotifyWatcher) listen(ctx context.Context, changes chan<- struct{}) error {
	defer w.close()
	for ctx.Err() == nil {
		relevant, err := w.next(ctx)
		if relevant {
			notify(ctx, changes)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// next waits for an event, an overflow or a rescan, and tells whether there was a relevant change.
func (w *inotifyWatcher) next(ctx context.Context) (bool, error) {
	select {
	case <-ctx.Done():
		return false, nil
	case event := <-w.watcher.Events:
		return w.handle(event)
	case <-w.overflow:
		w.unseen()
		return true, w.watchAll()
	case <-w.rescan.due:
		if !w.rescan.changed() {
			return false, nil
		}
		w.unseen()
		return true, w.watchAll()
	}
}

// notify sends a change, unless ctx is done first.
func notify(ctx context.Context, changes chan<- struct{}) {
	select {
	case changes <- struct{}{}:
	case <-ctx.Done():
	}
}

// handle tells whether an event is relevant, and updates the watches.
func (w *inotifyWatcher) handle(event fsnotify.Event) (bool, error) {
	dir, name := filepath.Dir(event.Name), filepath.Base(event.Name)
	r := w.watched[dir]
	wanted := r != nil && (r.children[name] || r.content && relevant(name))
	if wanted && event.Has(fsnotify.Write|fsnotify.Create) {
		w.writers.add(event.Name)
	}
	switch {
	case !wanted, event.Op == fsnotify.Write: // a write changes no path
		return wanted, nil
	case r.children[name]:
		return true, w.watchAll()
	}
	return true, w.follow(dir, name)
}
