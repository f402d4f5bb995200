package statedir

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// MarkWatcher tells other farmc processes that a watcher runs, until this process ends: it holds a shared lock on the
// state directory itself. The lock of the loads is another file.
func (s Store) MarkWatcher() error {
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	fd, err := unix.Open(s.Dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0) // never closed: the lock ends with it
	if err == nil {
		err = unix.Flock(fd, unix.LOCK_SH)
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", s.Dir, err)
	}
	return nil
}

// WatcherRuns reports whether a farmc watch with this state directory runs.
func (s Store) WatcherRuns() bool {
	d, err := os.Open(s.Dir)
	if err != nil {
		return false
	}
	defer d.Close()
	return errors.Is(unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
}
