package overview

import (
	"math"
	"time"
)

// Bounds of courses. With the longest step of the trend, its points cover the last hour.
const (
	maxPoints   = 96
	firstStep   = 5 * time.Second
	longestStep = 40 * time.Second // of a trend
)

// A clock divides the time into the points of courses, all of one length. When it has no point left, it doubles the
// length: two points become one. So a course covers all the time since its begin, in 48 to 96 points. At its longest
// step a clock forgets its oldest points in place of that.
type clock struct {
	longest time.Duration // 0: there is none
	step    time.Duration
	began   time.Time // of the first point
	points  int
	samples int // in the last point
}

// A tick tells courses how they take a sample.
type tick struct {
	merges  []int // numbers of points before each doubling of the step
	fresh   int   // points since the last sample; 0: the sample falls in the last point
	samples int   // in the last point, with the one to take
}

// take counts a sample at a time.
func (c *clock) take(at time.Time) (t tick) {
	if c.points == 0 {
		c.step, c.began = firstStep, at
	}
	for c.index(at) >= maxPoints && (c.longest == 0 || c.step < c.longest) {
		t.merges = append(t.merges, c.points)
		if c.points%2 == 0 { // else the last point stays alone
			c.samples *= 2
		}
		c.points, c.step = (c.points+1)/2, 2*c.step
	}
	if old := c.index(at) - (maxPoints - 1); old > 0 {
		c.began, c.points = c.began.Add(time.Duration(old)*c.step), max(0, c.points-old)
	}
	if t.fresh = c.index(at) + 1 - c.points; t.fresh > 0 {
		c.points, c.samples = c.points+t.fresh, 0
	}
	c.samples++
	t.samples = c.samples
	return t
}

// index is the index of the point of a time. A clock of the machine that was set back stays in its last point.
func (c *clock) index(at time.Time) int { return max(int(at.Sub(c.began)/c.step), c.points-1) }

// unknown is the value of a point at which a number was not known.
var unknown = float32(math.NaN())

func isUnknown(v float32) bool { return v != v }

// A series is the course of a number. It ends with the last point of its clock, and begins when the number is known.
// While the number stays the same, it needs no memory.
type series struct {
	steady float32 // value of the first points
	leads  int     // number of the first points
	values []float32
}

// take adds a sample. If samples were missed, the points between are unknown; else the value is the mean since the last
// sample.
func (s *series) take(v float32, t tick, missed bool) {
	for _, points := range t.merges {
		s.merge(points)
	}
	if t.fresh == 0 {
		s.blend(v, t.samples)
		return
	}
	for i := range min(t.fresh, maxPoints) {
		if missed && i < t.fresh-1 {
			s.push(unknown)
			continue
		}
		s.push(v)
	}
}

func (s *series) len() int { return s.leads + len(s.values) }

// push adds a point. The oldest one goes if there is no place for it.
func (s *series) push(v float32) {
	switch {
	case s.len() == 0 && isUnknown(v):
	case len(s.values) == 0 && (s.leads == 0 || s.steady == v):
		s.steady = v
		s.leads++
	default:
		s.values = append(s.values, v)
	}
	switch {
	case s.len() <= maxPoints:
	case s.leads > 0:
		s.leads--
	default:
		s.values = s.values[:copy(s.values, s.values[1:])]
	}
}

// blend adds a sample to the last point, which has a number of samples then.
func (s *series) blend(v float32, samples int) {
	last := len(s.values) - 1
	switch {
	case s.len() == 0:
		s.push(v)
	case last >= 0:
		s.values[last] = mean(s.values[last], v, samples)
	case v != s.steady && !isUnknown(v):
		s.leads--
		s.values = append(s.values, mean(s.steady, v, samples))
	}
}

// mean adds a value to the mean of others; the number counts all. Unknown values do not count.
func mean(of, v float32, number int) float32 {
	switch {
	case isUnknown(of):
		return v
	case isUnknown(v):
		return of
	}
	return of + (v-of)/float32(number)
}

// merge makes one point of two. The clock had a number of points.
func (s *series) merge(points int) {
	begin := points - s.len() // index of the first point
	if len(s.values) > 0 && s.leads > 0 && (begin+s.leads)%2 == 1 {
		s.leads--
		s.values = append([]float32{s.steady}, s.values...)
	}
	border := begin + s.leads // index of the first value
	s.leads = (border+1)/2 - begin/2
	if begin == border {
		s.leads = 0
	}
	merged := s.values[:0]
	for i, v := range s.values {
		if g := border + i; g%2 == 1 && i > 0 {
			merged[len(merged)-1] = mean(merged[len(merged)-1], v, 2)
		} else {
			merged = append(merged, v)
		}
	}
	s.values = merged
}

// list returns the points; nil for an unknown one.
func (s *series) list() []*float32 {
	all := make([]float32, s.len())
	for i := range s.leads {
		all[i] = s.steady
	}
	copy(all[s.leads:], s.values)
	out := make([]*float32, len(all))
	for i := range all {
		if !isUnknown(all[i]) {
			out[i] = &all[i]
		}
	}
	return out
}
