package watch

import "time"

// patrol is how often the directories are looked at though nothing was heard: of changes that another machine makes to
// a shared file system (NFS), and of a file system that is mounted over a directory, inotify doesn't tell.
const patrol = 30 * time.Second

// rounds are looks at the directories from time to time. What was heard meanwhile is news, too: one signal too many
// costs less than one too few.
type rounds struct {
	every time.Duration
	due   <-chan time.Time
	seen  poll
}

func (r *rounds) begin(dirs []string) {
	r.seen.dirs = dirs
	r.news()
}

// news says whether a look differs from the one before. Looks take a hundredth of the time at most, however many farms
// there are.
func (r *rounds) news() bool {
	begin := time.Now()
	changed := r.seen.changed()
	r.due = time.After(max(r.every, 100*time.Since(begin)))
	return changed
}
