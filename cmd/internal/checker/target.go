package checker

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"time"
)

// A Name names a backend of a farm.
type Name struct{ Farm, Backend string }

func (n Name) String() string { return fmt.Sprintf("%s: backend %s", n.Farm, n.Backend) }

// A Kind is a kind of check, by the resource that a running one needs.
type Kind int

// The kinds.
const (
	Network Kind = iota // a socket
	Program             // a process
)

// A Check is the check of a backend.
type Check struct {
	Name
	Timing
	Kind Kind
	Run  Prober
	Spec any // two checks with equal values are the same
}

// Timing says when a check runs, and how many equal results change a verdict.
type Timing struct {
	Interval, Fast, Timeout time.Duration // Fast: while a change is near
	Jitter                  float64       // the part of an interval by which it is shorter at most, 0 to 1
	Rise, Fall              int
	StartsDown              bool // the backend is unhealthy until Rise checks passed
}

// A target is a backend with its check and its verdict. The loop owns it.
type target struct {
	Check
	judge judge

	due, began time.Time     // of the next and the last check
	isSlow     bool          // the last check took all of its time
	late       time.Duration // by which checks started at most, since the last word
	excused    bool          // the last failure did not count
	gone       bool          // the backend or its check does not exist any more
	counted    bool          // in the wave

	last     Result // that says something about the backend
	lastAt   time.Time
	reported bool

	said   Word // the last word
	saidAt time.Time
}

func newTarget(check Check, present Verdict) *target {
	t := &target{Check: check, isSlow: true, judge: judge{healthy: !check.StartsDown, sure: check.StartsDown}}
	t.last = Result{Healthy: t.judge.healthy, Percent: 100, Reason: "not checked yet"}
	if present.Known {
		t.judge = judge{healthy: present.Healthy, sure: true}
		t.last = Result{Healthy: present.Healthy, Percent: present.Percent, Reason: present.Reason}
	}
	return t
}

// replace returns the target with another check. The verdict stays.
func (t *target) replace(check Check) *target {
	t.gone = true
	return &target{Check: check, isSlow: t.isSlow, judge: t.judge, last: t.last, lastAt: t.lastAt, reported: t.reported,
		said: t.said, counted: t.counted}
}

func (t *target) same(other Check) bool {
	return t.Timing == other.Timing && t.Kind == other.Kind && reflect.DeepEqual(t.Spec, other.Spec)
}

// fastest is the shortest time between two checks.
func (t *target) fastest() time.Duration { return max(min(t.Fast, t.Interval), minInterval) }

// minInterval bounds the number of checks of a backend.
const minInterval = 10 * time.Millisecond

// next is the time of the next check. A check begins after the end of the one before.
func (t *target) next(now time.Time) time.Time {
	pause := t.Interval
	if t.judge.changing() || t.excused {
		pause = t.fastest()
	}
	pause -= time.Duration(t.Jitter * rand.Float64() * float64(pause))
	if next := t.began.Add(pause); next.After(now) {
		return next
	}
	return now
}

// firstWait is the time until the first check of a backend that is one of several new ones: they are spread over their
// interval, or over less if they are few.
func (t *target) firstWait(fresh int) time.Duration {
	spread := min(t.Interval, time.Duration(fresh-1)*startSpacing)
	return time.Duration(rand.Float64() * float64(spread))
}

// startSpacing is the average time between the first checks of two backends.
const startSpacing = time.Millisecond

// limit is the time after which a check is ended from outside. The check ends itself after its timeout.
func (t *target) limit() time.Duration { return 2*t.Timeout + time.Second }

// word is the word about the backend now.
func (t *target) word(now time.Time) Word {
	w := Word{Name: t.Name, Healthy: t.judge.healthy, Percent: 100, Reason: t.reason(now), Took: t.last.Took,
		Next: t.Interval, For: t.lapse(), Late: t.late, Flaps: t.judge.held(now) > 0}
	switch {
	case !w.Healthy:
	case t.last.Healthy:
		w.Percent = t.last.Percent
	case t.said.Healthy:
		w.Percent = t.said.Percent
	}
	return w
}

// reason is the reason of the last result, and the way to another verdict.
func (t *target) reason(now time.Time) string {
	held := t.judge.held(now)
	flaps := fmt.Sprintf("flaps, %d failures within %s", len(t.judge.falls), flapWindow)
	switch {
	case held > 0 && !t.last.Healthy:
		return shortened(flaps + "; " + t.last.Reason)
	case t.judge.healthy == t.last.Healthy:
		return t.last.Reason
	case t.judge.healthy:
		return fmt.Sprintf("%s (%d of %d failures)", t.last.Reason, t.judge.streak, t.Fall)
	case held > 0:
		return flaps + "; passes now"
	}
	return fmt.Sprintf("passed %d of %d checks", t.judge.streak, t.Rise)
}

// lapse is the time after which a word lapses: it is repeated after a third, at the end of a check.
func (t *target) lapse() time.Duration { return max(minLapse, 4*(t.Interval+t.Timeout)) }

const minLapse = 30 * time.Second

// mustSay reports whether farmc watch has to hear a word.
func (t *target) mustSay(w Word, turned bool, now time.Time) bool {
	silent := now.Sub(t.saidAt)
	switch {
	case t.saidAt.IsZero(): // with start = "up" a first failure is no reason for a word
		return turned || t.judge.settled()
	case turned, w.Healthy != t.said.Healthy, w.Percent != t.said.Percent:
		return true
	case w.Reason != t.said.Reason:
		return silent >= time.Second
	}
	return silent >= t.lapse()/3
}
