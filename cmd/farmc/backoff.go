package main

import "time"

// A peace is kept with another program that takes farmc's rules away again and again: after a few times they are not
// loaded at once, as neither gives in, and each load costs all traffic a moment.
type peace struct {
	strikes []time.Time // when rules were mended, of the last while
	by      string      // who was heard to change them last
	over    <-chan time.Time
}

const (
	warLasts    = 10 * time.Minute
	mostStrikes = 5 // in that time, before the first pause
	firstPause  = 5 * time.Second
	lastPause   = time.Minute
)

// strike notes that rules are mended, and gives how long they are left alone from now on, whatever happens to them.
func (p *peace) strike(now time.Time, by string) time.Duration {
	for len(p.strikes) > 0 && now.Sub(p.strikes[0]) > warLasts {
		p.strikes = p.strikes[1:]
	}
	p.strikes, p.by = append(p.strikes, now), by
	more := len(p.strikes) - mostStrikes
	if more <= 0 {
		return 0
	}
	pause := min(firstPause<<min(more-1, 10), lastPause)
	p.over = time.After(pause)
	return pause
}

// kept says whether rules are left alone for now, and remembers by whom they were changed.
func (p *peace) kept(by string) bool {
	p.by = by
	return p.over != nil
}

// broken ends the pause, and gives who changed rules meanwhile.
func (p *peace) broken() string {
	p.over = nil
	return p.by
}
