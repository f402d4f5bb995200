package checker

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Delays counts how late checks start, in classes that are a quarter of a power of two wide. It can be used by several
// goroutines at once.
type Delays struct{ counts [256]atomic.Uint64 }

func (d *Delays) add(late time.Duration) { d.counts[class(late)].Add(1) }

// class is the number of a delay's class: two bits after the highest one of its microseconds.
func class(late time.Duration) int {
	us := uint64(max(late.Microseconds(), 0))
	if us < 4 {
		return int(us)
	}
	shift := bits.Len64(us) - 3
	return 4*shift + int(us>>shift)
}

// upper is the upper bound of a class.
func upper(class int) time.Duration {
	if class < 4 {
		return time.Duration(class+1) * time.Microsecond
	}
	shift := class/4 - 1
	return time.Duration(uint64(class%4+5)<<shift) * time.Microsecond
}

// Take returns the number of starts since the last call, and the time within which the given part of them started.
func (d *Delays) Take(part float64) (starts int, within time.Duration) {
	var counts [len(d.counts)]uint64
	for i := range d.counts {
		counts[i] = d.counts[i].Swap(0)
		starts += int(counts[i])
	}
	most := uint64(part * float64(starts))
	var seen uint64
	for i, n := range counts {
		if seen += n; n > 0 && seen >= most {
			return starts, upper(i)
		}
	}
	return starts, 0
}
