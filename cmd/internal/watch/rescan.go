package watch

import "time"

// rescanInterval is the time between readings of the directories while there are no events. inotify has no events for
// changes by another machine to a shared file system (NFS), or for a file system that is mounted over a directory.
const rescanInterval = 30 * time.Second

// rescan reads the directories periodically. It also finds the changes that events have reported since the last
// reading: a signal too many costs less than one too few.
type rescan struct {
	every  time.Duration
	due    <-chan time.Time
	poller poller
}

func (r *rescan) begin(dirs []string) {
	r.poller.dirs = dirs
	r.changed()
}

// changed reads the directories, and tells whether anything differs from the last reading. Readings take a hundredth of
// the time at most, for any number of farms.
func (r *rescan) changed() bool {
	begin := time.Now()
	changed := r.poller.changed()
	r.due = time.After(max(r.every, 100*time.Since(begin)))
	return changed
}
