// Package watch reports changes of directories of farms and of the network: interfaces, addresses and routes.
//
// It merges many changes into one signal, which is sent when the changes have ended. It knows which file names a farm
// can have, and nothing of their content.
//
// Files: watch.go and network.go are the two fronts, news.go tells at once which names have changed; settle.go merges
// changes; inotify.go handles events, paths.go follows symlinks, filter.go decides about names, writers.go finds files
// that are still open for writing, rescan.go reads the directories every 30 s, because inotify does not report
// everything, and poll.go does so every second if inotify cannot be used.
package watch

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// quietTime is the time without changes before a signal. maxDelay is the longest time from a change to its signal.
const (
	quietTime = 100 * time.Millisecond
	maxDelay  = 2 * time.Second
)

// Watch sends when a file in the directories, or in their drop-in directories (NAME.toml.d), may have changed. It waits
// until there was no change for 100 ms and no changed file is open for writing, but no longer than 2 s. It reports
// every change after it has returned. A signal stands for any number of changes, and waits until it is received. The
// channel is closed when ctx is done and all resources are released.
//
// Directories may be missing, and may be created or deleted at any time. Symlinks are followed. Changes that inotify
// does not report, by another machine to a shared file system or by a mount over a directory, are found within 30 s.
//
// If inotify cannot be used (fs.inotify.max_user_watches, max_user_instances), Watch reads the directories every
// second, and calls warn once with the reason, from another goroutine. Before the signal of a change that inotify may
// not have reported it calls unseen: News does not know that change.
func Watch(ctx context.Context, dirs []string, unseen func(), warn func(error)) <-chan struct{} {
	dirs = absolute(dirs)
	changes := make(chan struct{})
	open := &writers{}
	s, err := newInotifyWatcher(dirs, open)
	go func() {
		defer close(changes)
		if err == nil {
			s.unseen = unseen
			err = s.listen(ctx, changes)
		}
		if err != nil {
			warn(fmt.Errorf("inotify cannot be used, so directories are read every second: %w", err))
			p := poller{dirs: dirs}
			p.listen(ctx, unseen, changes)
		}
	}()
	return settle(changes, open.open)
}

// absolute makes the paths independent of a later chdir. Without a working directory relative paths stay as they are.
func absolute(dirs []string) []string {
	paths := make([]string, len(dirs))
	for i, dir := range dirs {
		paths[i] = filepath.Clean(dir)
		if path, err := filepath.Abs(dir); err == nil {
			paths[i] = path
		}
	}
	return paths
}
