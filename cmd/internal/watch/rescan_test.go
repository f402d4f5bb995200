package watch

import (
	"context"
	"errors"
	"testing"
	"time"
)

// A change without an inotify event is found by the next rescan, which adds the missing watch.
func TestRescan(t *testing.T) {
	tr := newWatchedTree(t, "farms.d/")
	tr.must(tr.watcher.watcher.Remove(tr.at("farms.d"))) // as if a file system were mounted over it
	tr.make("farms.d/web.toml")
	tr.expectIgnored("a change without an event")
	unseen := 0
	tr.watcher.unseen = func() { unseen++ }
	tr.watcher.rescan.every = time.Millisecond
	tr.watcher.rescan.due = time.After(0)
	if !tr.round() {
		t.Error("the rescan finds no change")
	}
	if tr.round() {
		t.Error("the second rescan finds a change")
	}
	if unseen != 1 {
		t.Errorf("%d changes without an event, of 1", unseen)
	}
	tr.watcher.rescan.due = nil
	tr.make("farms.d/web.toml")
	tr.expectRelevant("a write after the rescan")
}

// round waits for the next rescan, and tells whether it, or an event before it, is relevant. Other processes create
// files in the parent directories, too, and cause events that are not relevant.
func (tr *tree) round() (relevant bool) {
	tr.Helper()
	ctx, stop := context.WithTimeout(tr.Context(), time.Minute)
	defer stop()
	for due := tr.watcher.rescan.due; tr.watcher.rescan.due == due; {
		m, err := tr.watcher.next(ctx)
		tr.must(errors.Join(err, ctx.Err()))
		relevant = relevant || m
	}
	return relevant
}
