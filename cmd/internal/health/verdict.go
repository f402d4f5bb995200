package health

import (
	"slices"
	"time"
)

// A Verdict is what the words about a backend mean. Without words it is neutral.
type Verdict struct {
	Down    bool
	Percent int // of the weight that counts, 0 to 100
}

// neutral changes nothing about a backend.
var neutral = Verdict{Percent: 100}

// IsNeutral reports whether the backend serves as its files say.
func (v Verdict) IsNeutral() bool { return v == neutral }

// rules are how the words about a backend are combined, for all farms alike. A farm has no key for them yet.
type rules struct {
	agree int  // so many unhealthy words take a backend out
	keep  bool // the words of silent checkers count if no other checker speaks; otherwise they never count
}

var common = rules{agree: 1, keep: true}

// Judge combines the words about a backend: one unhealthy word takes it out, and the smallest weight counts. A word
// that has lapsed counts only while no word is fresh: if all checkers are silent, the backend keeps its state, and if
// one speaks again, the others count no more.
func Judge(words []Word, now time.Time) Verdict { return common.judge(words, now) }

func (r rules) judge(words []Word, now time.Time) Verdict {
	fresh := slices.DeleteFunc(slices.Clone(words), func(w Word) bool { return w.Lapsed(now) })
	if len(fresh) == 0 && r.keep {
		fresh = words
	}
	v, unhealthy := neutral, 0
	for _, w := range fresh {
		switch {
		case !w.Healthy:
			unhealthy++
		default:
			v.Percent = min(v.Percent, w.Percent)
		}
	}
	v.Down = unhealthy >= r.agree
	return v
}
