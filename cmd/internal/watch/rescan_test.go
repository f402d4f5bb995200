package watch

import (
	"context"
	"errors"
	"testing"
	"time"
)

// What inotify says nothing of is seen by the next round, and heard from then on.
func TestRounds(t *testing.T) {
	sc := watched(t, "farms.d/")
	sc.must(sc.sentry.watcher.Remove(sc.at("farms.d"))) // as if it were mounted over, or another machine's
	sc.make("farms.d/web.toml")
	sc.unseen("what nobody can hear")
	sc.sentry.rounds.every = time.Millisecond
	sc.sentry.rounds.due = time.After(0)
	if !sc.round() {
		t.Error("the round doesn't see it")
	}
	if sc.round() {
		t.Error("the next round sees something, too")
	}
	sc.sentry.rounds.due = nil
	sc.make("farms.d/web.toml")
	sc.seen("a write after the round")
}

// round waits for the next round and says whether that, or anything before it, matters. In the directories on the way
// to the scene others make files, too, which are heard and don't.
func (sc *scene) round() (matters bool) {
	sc.Helper()
	ctx, stop := context.WithTimeout(sc.Context(), time.Minute)
	defer stop()
	for due := sc.sentry.rounds.due; sc.sentry.rounds.due == due; {
		m, err := sc.sentry.next(ctx)
		sc.must(errors.Join(err, ctx.Err()))
		matters = matters || m
	}
	return matters
}
