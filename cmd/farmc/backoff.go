package main

import "time"

// A peace is kept with another program that takes farmc's rules away again and again: after a few times they are not
// loaded at once, as neither gives in, and each load costs all traffic a moment.
type backoff struct {
	restores []time.Time // when rules were mended, of the last while
	by       string      // who was heard to change them last
	ended    <-chan time.Time
}

const (
	backoffWindow = 10 * time.Minute
	backoffBurst  = 5 // in that time, before the first pause
	minPause      = 5 * time.Second
	maxPause      = time.Minute
)

// strike notes that rules are mended, and gives how long they are left alone from now on, whatever happens to them.
func (p *backoff) hit(now time.Time, by string) time.Duration {
	for len(p.restores) > 0 && now.Sub(p.restores[0]) > backoffWindow {
		p.restores = p.restores[1:]
	}
	p.restores, p.by = append(p.restores, now), by
	more := len(p.restores) - backoffBurst
	if more <= 0 {
		return 0
	}
	pause := min(minPause<<min(more-1, 10), maxPause)
	p.ended = time.After(pause)
	return pause
}

// kept says whether rules are left alone for now, and remembers by whom they were changed.
func (p *backoff) active(by string) bool {
	p.by = by
	return p.ended != nil
}

// broken ends the pause, and gives who changed rules meanwhile.
func (p *backoff) end() string {
	p.ended = nil
	return p.by
}
