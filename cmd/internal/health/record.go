package health

import (
	"cmp"
	"slices"
	"time"
)

// A Record is all that is known about the health of a backend.
type Record struct {
	Words   []Word    // the last one of each checker
	Verdict Verdict   // of the last judgement
	Since   time.Time // when Verdict.Healthy became so; zero: unknown
	Rising  time.Time // when a slow start began; zero: the backend has none
	Stored  bool      // the drop-in of the record exists, or must, also if its verdict changes nothing
}

// NewRecord returns the record of a backend without words: it serves as its files say.
func NewRecord() Record { return Record{Verdict: neutral} }

// A Verdict is the meaning of the words about a backend.
type Verdict struct {
	Healthy bool
	Down    bool
	Percent int  // of the weight that counts, 0 to 100; 0: the backend drains
	Panic   bool // it is unhealthy and serves, because too few backends of its farm are healthy

	Base int // percent of the weight that the other files let count; 0 if nothing depends on it
}

// neutral changes nothing about a backend.
var neutral = Verdict{Healthy: true, Percent: 100}

// IsNeutral reports whether the backend serves as its files say, and is healthy.
func (v Verdict) IsNeutral() bool { return v == neutral }

// IsOut reports whether the backend takes no new clients.
func (v Verdict) IsOut() bool { return v.Down || v.Percent == 0 }

// Rules are how the words about a backend are judged: keys of [health] of its farm.
type Rules struct {
	Agree     int           // so many checkers must say the same
	Drain     bool          // an unhealthy backend keeps its connections
	Forget    bool          // a word that has lapsed never counts
	SlowStart time.Duration // in which the weight of a recovered backend rises
	Store     bool          // healthy words are in a drop-in as well: without them the backend would go out
}

// judge returns the record after a judgement of its words, without regard to other backends.
func (r Record) judge(rules Rules, now time.Time) Record {
	wasHealthy, wasOut := r.Verdict.Healthy, r.Verdict.IsOut()
	r.Verdict = rules.verdict(r.Words, now)
	r.Stored = rules.Store && len(r.Words) > 0
	if r.Verdict.Healthy != wasHealthy || r.Since.IsZero() && len(r.Words) > 0 {
		r.Since = now
	}
	switch {
	case rules.SlowStart == 0 || r.Verdict.IsOut():
		r.Rising = time.Time{}
	case wasOut:
		r.Rising = now
	}
	if !r.Rising.IsZero() {
		r.rise(rules, now)
	}
	return r
}

// verdict combines words. The value of a word is the weight that it leaves, and less than nothing for an unhealthy one.
// The backend gets the value that at least so many checkers go down to as must agree.
func (r Rules) verdict(words []Word, now time.Time) Verdict {
	counted := r.counted(words, now)
	agree := max(r.Agree, 1)
	if len(counted) < agree {
		return neutral
	}
	slices.SortFunc(counted, func(a, b Word) int { return cmp.Compare(a.value(), b.value()) })
	switch value := counted[agree-1].value(); {
	case value == unhealthy && r.Drain:
		return Verdict{}
	case value == unhealthy:
		return Verdict{Down: true}
	default:
		return Verdict{Healthy: true, Percent: value}
	}
}

// unhealthy is the value of an unhealthy word.
const unhealthy = -1

func (w Word) value() int {
	if !w.Healthy {
		return unhealthy
	}
	return w.Percent
}

// counted returns the words that count. A word that has lapsed counts while fewer checkers speak than must agree: if
// checkers are silent, the backend keeps its state.
func (r Rules) counted(words []Word, now time.Time) []Word {
	fresh := slices.DeleteFunc(slices.Clone(words), func(w Word) bool { return w.Lapsed(now) })
	if len(fresh) < max(r.Agree, 1) && !r.Forget {
		return slices.Clone(words)
	}
	return fresh
}

// Resumed returns a record that another process kept. Its words are as if they were said now, so that no checker counts
// as silent before it could speak. A slow start goes on; a begin in the future is one before a jump of the clock.
func (r Record) Resumed(now time.Time) Record {
	for i := range r.Words {
		r.Words[i] = r.Words[i].Fresh(now)
	}
	if !r.Rising.IsZero() {
		r.Rising = now.Add(-max(now.Sub(r.Rising), 0))
	}
	return r
}

// Excused returns the record after a pause of this process, in which no checker could be heard.
func (r Record) Excused(pause time.Duration) Record {
	r.Words = slices.Clone(r.Words)
	for i := range r.Words {
		r.Words[i].Said = r.Words[i].Said.Add(pause)
	}
	return r
}

// Deciding returns the word that explains the verdict: the last one that says the same; nil without any.
func (r Record) Deciding() *Word {
	var out *Word
	for i := range r.Words {
		w := &r.Words[i]
		if w.Healthy == r.Verdict.Healthy && (out == nil || w.Said.After(out.Said)) {
			out = w
		}
	}
	return out
}

// SameVerdict reports whether two records have the same verdict, and both have a drop-in or neither has one.
func (r Record) SameVerdict(other Record) bool {
	return r.Verdict == other.Verdict && r.HasDropIn() == other.HasDropIn()
}

// HasDropIn reports whether the record is in a drop-in.
func (r Record) HasDropIn() bool { return r.Stored || !r.Verdict.IsNeutral() }

// SameEffect reports whether the drop-ins of two records are the same but for reasons and times.
func (r Record) SameEffect(other Record) bool {
	if !r.SameVerdict(other) || !r.HasDropIn() {
		return r.SameVerdict(other)
	}
	return slices.EqualFunc(r.Words, other.Words, func(a, b Word) bool { return a.By == b.By && a.Same(b) })
}
