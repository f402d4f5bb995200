package checker

import "time"

// A judge turns results of checks into a verdict.
type judge struct {
	healthy bool
	sure    bool // the verdict comes from checks, or was the one in force at the start
	streak  int  // results in a row that differ from the verdict
	damping
}

// take counts a result, and reports whether the verdict turned. If the backend begins to flap, or goes on, held is the
// time for which it stays out.
func (j *judge) take(healthy bool, t Timing, now time.Time) (turned bool, held time.Duration) {
	if healthy == j.healthy {
		j.streak, j.sure = 0, true
		return false, 0
	}
	j.streak++
	if j.healthy && j.streak >= t.Fall {
		j.turn()
		return true, j.fell(now)
	}
	if !j.healthy && j.streak >= t.Rise && j.held(now) == 0 {
		j.turn()
		return true, 0
	}
	return false, 0
}

func (j *judge) turn() { j.healthy, j.sure, j.streak = !j.healthy, true, 0 }

// settled reports whether the verdict is sure, and the last result agreed with it.
func (j *judge) settled() bool { return j.sure && j.streak == 0 }

// changing reports whether a change of the verdict is near, so that checks are more frequent.
func (j *judge) changing() bool { return j.streak > 0 || !j.sure }
