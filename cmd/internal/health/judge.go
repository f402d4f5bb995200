package health

import (
	"maps"
	"time"
)

// A Member is a backend of a farm that is judged.
type Member struct {
	Record
	Rules
	Off  bool // the farm's files take it out
	Base int  // how much of the weight counts by the files, in percent
}

// Judge judges all backends of a farm, and returns their records by name. If fewer backends than the share in percent
// are healthy, no word takes a backend out: the checker is more likely wrong than so many backends. Backends that the
// files take out do not count. The share 0 has no such rule.
func Judge(members map[string]Member, share int, now time.Time) map[string]Record {
	out := make(map[string]Record, len(members))
	total, healthy := 0, 0
	for name, m := range members {
		out[name] = m.Record.judge(m.Rules, now)
		if !m.Off {
			total++
			healthy += map[bool]int{true: 1}[out[name].Verdict.Healthy]
		}
	}
	if healthy*100 < share*total {
		for name, r := range out {
			out[name] = r.panicking(members[name].Rules, now)
		}
	}
	for name, r := range out {
		if !r.Verdict.Down && !r.Verdict.IsNeutral() {
			r.Verdict.Base = members[name].Base
			out[name] = r
		}
	}
	return out
}

// panicking returns the record of a backend that serves because too few are healthy. A slow start ends: the weight of a
// healthy backend must not be less than that of an unhealthy one.
func (r Record) panicking(rules Rules, now time.Time) Record {
	r.Rising = time.Time{}
	if r.Verdict.Healthy {
		r.Verdict = rules.verdict(r.Words, now)
	} else {
		r.Verdict = Verdict{Percent: 100, Panic: true}
	}
	return r
}

// Next returns the time of the next judgement that can have another result without a new word. It is zero if there is
// none.
func Next(members map[string]Member, now time.Time) (next time.Time) {
	for m := range maps.Values(members) {
		for _, w := range m.Words {
			if w.For > 0 {
				next = sooner(next, w.Said.Add(w.For), now)
			}
		}
		if !m.Rising.IsZero() {
			next = sooner(next, m.Rules.nextStep(m.Rising, now), now)
		}
	}
	return next
}

// sooner returns the earlier one of two times that are not over. The first may be zero.
func sooner(a, b, now time.Time) time.Time {
	if b.After(now) && (a.IsZero() || b.Before(a)) {
		return b
	}
	return a
}
