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
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	matters, err := sc.sentry.next(ctx)
	sc.must(errors.Join(err, ctx.Err()))
	if !matters {
		t.Error("the round doesn't see it")
	}
	if matters, err = sc.sentry.next(ctx); matters || err != nil {
		t.Errorf("the next round sees something, too; %v", err)
	}
	sc.sentry.rounds.due = nil
	sc.make("farms.d/web.toml")
	sc.seen("a write after the round")
}
