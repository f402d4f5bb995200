package overview

import "time"

// ringLength is the number of samples that are kept.
const ringLength = 60

// A ring has the last samples of a farm, a backend or all farms.
type ring struct {
	open    []float32
	created []float32 // new connections per second
	denied  []float32 // packets per second

	last counts
}

// counts are the numbers of a sample, as the kernel counts them. A number is nil if it is not counted.
type counts struct {
	at      time.Time
	open    *int
	created *uint64
	denied  *uint64
}

// add adds a sample.
func (r *ring) add(c counts) {
	created, hasNew := rate(r.last.created, c.created, c.at.Sub(r.last.at))
	denied, hasDenied := rate(r.last.denied, c.denied, c.at.Sub(r.last.at))
	first := r.last.at.IsZero()
	r.last = c
	if first { // there is no rate yet
		return
	}
	r.created = push(r.created, created, hasNew)
	r.denied = push(r.denied, denied, hasDenied)
	open := float32(0)
	if c.open != nil {
		open = float32(*c.open)
	}
	r.open = push(r.open, open, c.open != nil)
}

// push adds a value, and drops the oldest one of a full list. A list with a gap begins anew.
func push[T any](list []T, value T, known bool) []T {
	switch {
	case !known:
		return nil
	case len(list) >= ringLength:
		copy(list, list[1:])
		list = list[:len(list)-1]
	}
	return append(list, value)
}

// rate returns the increase of a counter per second. A counter that began anew has no rate.
func rate(before, now *uint64, passed time.Duration) (perSecond float32, known bool) {
	if before == nil || now == nil || *now < *before || passed <= 0 {
		return 0, false
	}
	return float32(float64(*now-*before) / passed.Seconds()), true
}

// trend returns the course of the samples, which were taken at times.
func (r *ring) trend(times []time.Time) Trend {
	t := Trend{Open: append([]float32{}, r.open...), New: append([]float32{}, r.created...),
		Denied: append([]float32{}, r.denied...)}
	n := min(max(len(r.open), len(r.created), len(r.denied)), len(times))
	if n > 0 {
		t.Seconds = times[len(times)-1].Sub(times[len(times)-n]).Seconds()
	}
	return t
}

// numbers returns the last sample, and the course.
func (r *ring) numbers(times []time.Time) Numbers {
	return Numbers{Open: r.last.open, New: lastOf(r.created), Denied: lastOf(r.denied), Trend: r.trend(times)}
}

func lastOf(list []float32) *float64 {
	if len(list) == 0 {
		return nil
	}
	last := float64(list[len(list)-1])
	return &last
}
