package overview

import (
	"time"

	"farmc/cmd/internal/live"
)

// A kind is a kind of number with a course.
type kind int

// The kinds.
const (
	openKind kind = iota
	newKind
	deniedKind
	bytesKind
	servingKind
	kinds
)

// counts are the numbers of a sample, as the kernel counts them. A number is nil if it is not counted.
type counts struct {
	open    *int
	serving int
	totals  [kinds]*uint64 // of newKind, deniedKind and bytesKind, since any time
}

// countsOf returns the numbers of a farm.
func countsOf(f *live.FarmStatus) counts {
	c := counts{open: f.Open, serving: f.BackendsUp}
	c.totals[newKind], c.totals[bytesKind] = f.New, f.Bytes
	for _, packets := range f.HeldBack {
		addTo(&c.totals[deniedKind], &packets)
	}
	return c
}

// countsOfBackend returns the numbers of a backend.
func countsOfBackend(b *live.BackendStatus) counts {
	c := counts{open: b.Open}
	c.totals[newKind], c.totals[bytesKind] = b.New, b.Bytes
	if b.State == "up" || b.State == "standby" {
		c.serving = 1
	}
	return c
}

// addAll adds the numbers of another farm.
func (c *counts) addAll(of counts) {
	addTo(&c.open, of.open)
	c.serving += of.serving
	for k := range kinds {
		addTo(&c.totals[k], of.totals[k])
	}
}

// addTo adds a number that may be unknown to a sum of known numbers.
func addTo[N int | uint64](sum **N, n *N) {
	if n == nil {
		return
	}
	if *sum == nil {
		*sum = new(N)
	}
	**sum += *n
}

// A course has the numbers of a farm, a backend or all farms: at the last sample, in the last hour and since the start.
type course struct {
	last        counts
	now         [kinds]float32
	begun       bool
	hour, start [kinds]series
}

// add adds a sample. The first one has no rates.
func (c *course) add(of counts, m moment) {
	for k := range kinds {
		c.now[k] = rate(c.last.totals[k], of.totals[k], m.passed)
	}
	c.now[servingKind], c.now[openKind] = float32(of.serving), unknown
	if of.open != nil {
		c.now[openKind] = float32(*of.open)
	}
	c.last, c.begun = of, true
	for k, v := range c.now {
		c.hour[k].take(v, m.hour, m.missed)
		c.start[k].take(v, m.start, m.missed)
	}
}

// rate returns the increase of a counter per second. A counter that began anew has no rate.
func rate(before, now *uint64, passed time.Duration) float32 {
	if before == nil || now == nil || *now < *before || passed <= 0 {
		return unknown
	}
	return float32(float64(*now-*before) / passed.Seconds())
}

// numbers returns the last sample, and the courses by the clocks of trends.
func (c *course) numbers(t *trends) Numbers {
	n := Numbers{Trend: trendOf(&c.hour, &t.hour), History: trendOf(&c.start, &t.start)}
	if c.begun && !t.gone {
		n.Open, n.New = c.last.open, known64(c.now[newKind])
		n.Denied, n.Bytes = known64(c.now[deniedKind]), known64(c.now[bytesKind])
	}
	return n
}

func known64(v float32) *float64 {
	if isUnknown(v) {
		return nil
	}
	n := float64(v)
	return &n
}

// trendOf returns the courses of numbers by a clock.
func trendOf(of *[kinds]series, c *clock) Trend {
	t := Trend{Step: c.step.Seconds(), Open: of[openKind].list(), New: of[newKind].list(),
		Denied: of[deniedKind].list(), Bytes: of[bytesKind].list(), Serving: of[servingKind].list()}
	for k := range of {
		t.Seconds = max(t.Seconds, float64(of[k].len()-1)*t.Step)
	}
	return t
}
