package health

import "time"

// maxSteps is the number of steps of a slow start. Each step is a load, which moves a tenth of the backend's slots.
const maxSteps = 9

// stepTime is the time of a step. A short slow start has few steps, as a step takes a second or more.
func (r Rules) stepTime() time.Duration { return r.SlowStart / time.Duration(r.steps()) }

func (r Rules) steps() int { return int(min(max(r.SlowStart/time.Second, 1), maxSteps)) }

// rise sets the weight in a slow start, and ends it after its time.
func (r *Record) rise(rules Rules, now time.Time) {
	step := int(max(now.Sub(r.Rising), 0) / rules.stepTime())
	if step >= rules.steps() {
		r.Rising = time.Time{}
		return
	}
	r.Verdict.Percent = max(r.Verdict.Percent*(step+1)/(rules.steps()+1), 1)
}

// nextStep returns the time of the next step of a slow start.
func (r Rules) nextStep(rising, now time.Time) time.Time {
	if r.SlowStart == 0 {
		return now.Add(time.Nanosecond)
	}
	step := max(now.Sub(rising), 0) / r.stepTime()
	return rising.Add((step + 1) * r.stepTime())
}
