// Package health judges backends by the words of their checkers. A word says that a backend is healthy or not, or how
// much of its weight counts. Package live has the drop-in that a judgement becomes, and package manage takes words.
//
// Order of the files: word.go (Word, and whether it has lapsed), record.go (Record: the words about a backend and their
// verdict), judge.go (Judge: all backends of a farm), slowstart.go (steps of the weight), text.go (the drop-in: its
// table, and the record as comments). The package knows no files and no farms.
//
// Be aware:
//   - A word never raises a backend. The drop-in of a verdict has state "down" or less weight, so a backend that files
//     or farmc drain take out stays out. State "drain" is written as a weight of nothing, because it must not replace a
//     state "down" of another file.
//   - Times of words have the monotonic clock, so a jump of the wall clock lets no word lapse.
package health

import "time"

// A Word is the last word of a checker about a backend.
type Word struct {
	By      string // name of the checker
	Healthy bool
	Percent int // of the weight that counts, 0 to 100; an unhealthy backend has none in any case
	Reason  string
	For     time.Duration // the word lapses after this time; 0: never
	Said    time.Time

	Took time.Duration // of the check; 0: unknown
	Next time.Duration // from the word to the next check; 0: unknown
	Late time.Duration // by which checks started at most since the word before; 0: unknown

	Flaps bool // the checker keeps the backend out for some time, because it failed several times
}

// Lapsed reports whether the checker has been silent for too long.
func (w Word) Lapsed(now time.Time) bool { return w.For > 0 && now.Sub(w.Said) >= w.For }

// NextCheck is about when the checker checks the backend again; zero if it does not say, or has been silent for too
// long. Checks go on between two words.
func (w Word) NextCheck(now time.Time) time.Time {
	if w.Next <= 0 || w.Lapsed(now) {
		return time.Time{}
	}
	over := max(now.Sub(w.Said), 0) / w.Next
	return w.Said.Add((over + 1) * w.Next)
}

// Same reports whether two words have the same effect.
func (w Word) Same(other Word) bool {
	return w.Healthy == other.Healthy && (w.Percent == other.Percent || !w.Healthy)
}

// Fresh returns the word as if it was said now: its checker has a full time to repeat it.
func (w Word) Fresh(now time.Time) Word {
	w.Said = now
	return w
}
