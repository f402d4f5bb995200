package main

import (
	"testing"
	"testing/synctest"
	"time"

	"farmc/cmd/internal/live"
)

// One look at the machine follows the loads of other processes, and the later ones do not postpone it. Without farms
// none follows.
func TestLookAfterLoadsOfOthers(t *testing.T) {
	var w watcher
	w.lookAtOnceOrSoon(t.Context(), live.Plan{UpToDate: true})
	if w.lookDue != nil {
		t.Error("a look is due without farms")
	}
	inForce := live.Plan{UpToDate: true, InForce: true}
	w.lookAtOnceOrSoon(t.Context(), inForce)
	due := w.lookDue
	if w.lookAtOnceOrSoon(t.Context(), inForce); due == nil || w.lookDue != due {
		t.Error("no look is due, or it is postponed")
	}
}

// Looks after loads of others take a tenth of the time at most.
func TestPauseBetweenLooks(t *testing.T) {
	for took, want := range map[time.Duration]time.Duration{
		0: afterWrites, 10 * time.Millisecond: afterWrites, time.Second: 10 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			w := watcher{lookTook: took}
			began := time.Now()
			w.lookAtOnceOrSoon(t.Context(), live.Plan{UpToDate: true, InForce: true})
			if <-w.lookDue; time.Since(began) != want {
				t.Errorf("after a look of %s the next one follows in %s", took, time.Since(began))
			}
		})
	}
}

// A collection of garbage that most of the heap has room for waits for more garbage. A limit of the memory can set the
// goal below the live bytes.
func TestMuchGarbage(t *testing.T) {
	const live = 300
	for _, c := range []struct {
		used, goal uint64
		want       bool
	}{{310, 600, false}, {450, 600, false}, {451, 600, true}, {600, 600, true}, {300, 200, true}} {
		if got := isMuch(c.used, live, c.goal); got != c.want {
			t.Errorf("%d of %d bytes are used: %t, want %t", c.used, c.goal, got, c.want)
		}
	}
}
