package checker

import (
	"sync/atomic"
	"time"
)

// A wave is many backends that turn at the same time, such as those behind a switch that failed. Their checks start at
// different moments of an interval, so their verdicts turn within an interval. The first words of a wave wait for the
// last ones, so that all of them are one load. That delays none beyond the time within which a failure shows.
type wave struct{ changing atomic.Int64 } // backends whose verdict is about to turn

// highWave is the number of backends that are a wave.
const highWave = 32

func (w *wave) isHigh() bool { return w.changing.Load() >= highWave }
func (w *wave) isOver() bool { return w.changing.Load() <= 0 }

// count counts a backend as about to turn, or as no longer so.
func (w *wave) count(t *target, is bool) {
	if t.counted != is {
		w.changing.Add(map[bool]int64{true: 1, false: -1}[is])
	}
	t.counted = is
}

// patience is the time for which the word about a turn can wait. All backends that turn by the same cause had their
// first check after it within an interval, and an answer within the timeout; their other checks are as frequent as
// this one's, but for the jitter.
func (t *target) patience(turned bool) time.Duration {
	if !turned {
		return 0
	}
	others, answer := t.Fall-1, max(t.Timeout-t.last.Took, 0)
	if t.judge.healthy {
		others, answer = t.Rise-1, 0
	}
	return t.Interval + time.Duration(float64(others)*t.Jitter*float64(t.fastest())) + answer
}
