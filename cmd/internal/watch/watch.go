// Package watch turns changes in directories of farms into one quiet signal.
package watch

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// How long nothing may happen before a change is told, and how long it is held back at most where things never rest.
const (
	quiet  = 100 * time.Millisecond
	latest = 2 * time.Second
)

// Watch sends on the channel when something in the directories, or in the drop-in directories (NAME.toml.d) in them,
// may have changed, and then was quiet and nobody wrote to it any more. What changes after Watch returned is told. One signal stands for any number of
// changes, and waits until it is received. The channel is closed when ctx is done and all is let go.
//
// Directories may be missing, come and go. Where they or the files in them are links, what these lead to counts. What
// the kernel doesn't tell (another machine's changes to a shared file system, a mount over a directory) is seen within
// half a minute.
//
// Where inotify is not to be had (fs.inotify.max_user_watches, max_user_instances), the directories are read every
// second instead, and warn is told why, once, by another goroutine.
func Watch(ctx context.Context, dirs []string, warn func(error)) <-chan struct{} {
	dirs = absolute(dirs)
	changes := make(chan struct{})
	written := &unfinished{}
	s, err := post(dirs, written)
	go func() {
		defer close(changes)
		if err == nil {
			err = s.listen(ctx, changes)
		}
		if err != nil {
			warn(fmt.Errorf("no inotify, so directories are read every second: %w", err))
			p := poll{dirs: dirs}
			p.listen(ctx, changes)
		}
	}()
	return settle(changes, written.any)
}

// absolute makes the paths independent of a later chdir; where that can't be had they stay as they are.
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
