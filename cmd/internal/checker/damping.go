package checker

import (
	"slices"
	"time"
)

// Damping of backends that flap. A backend that failed more than freeFalls times within flapWindow stays out for
// firstHold, and after each further failure for twice the time, up to maxHold. A failure is never delayed.
const (
	freeFalls  = 3
	flapWindow = 10 * time.Minute
	firstHold  = 10 * time.Second
	maxHold    = 5 * time.Minute
)

// damping knows the last failures of a backend.
type damping struct {
	falls []time.Time // within flapWindow
	until time.Time   // the backend stays out
}

// fell counts a failure, and returns the time for which the backend stays out; 0: it does not flap.
func (d *damping) fell(now time.Time) time.Duration {
	d.falls = slices.DeleteFunc(d.falls, func(at time.Time) bool { return now.Sub(at) >= flapWindow })
	d.falls = append(d.falls, now)
	more := len(d.falls) - freeFalls
	if more <= 0 {
		return 0
	}
	hold := maxHold
	if more < 10 {
		hold = min(firstHold<<(more-1), maxHold)
	}
	d.until = now.Add(hold)
	return hold
}

// held is the time for which the backend still stays out.
func (d *damping) held(now time.Time) time.Duration { return max(d.until.Sub(now), 0) }
