package main

import "time"

// A backoff limits how often rules are restored while another program keeps removing them. Each load costs all traffic
// a moment.
type backoff struct {
	restores []time.Time // of the last backoffWindow
	by       string      // program that changed the rules last
	ended    <-chan time.Time
}

const (
	backoffWindow = 10 * time.Minute
	backoffBurst  = 5 // restores in the window before the first pause
	minPause      = 5 * time.Second
	maxPause      = time.Minute
)

// hit records a restore, and returns the length of the pause that starts now; 0 means none.
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

// active reports whether a pause lasts, and remembers the program that changed the rules.
func (p *backoff) active(by string) bool {
	p.by = by
	return p.ended != nil
}

// end ends the pause, and returns the program that changed the rules last.
func (p *backoff) end() string {
	p.ended = nil
	return p.by
}
