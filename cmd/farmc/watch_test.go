package main

import (
	"testing"

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
