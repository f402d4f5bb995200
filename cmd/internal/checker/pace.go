package checker

import "time"

// A pace bounds the starts of checks in a time. After a standstill of the process all checks are due at once: they
// start at twice the usual rate, instead of all at once, because checks that compete for the processors fail. It is a
// token bucket.
type pace struct {
	rate   float64 // starts in a second
	tokens float64
	at     time.Time // of the tokens
}

const (
	minRate   = 1000.0 // starts in a second
	paceBurst = 50 * time.Millisecond
)

// set sets the usual rate.
func (p *pace) set(perSecond float64) { p.rate = max(2*perSecond, minRate) }

// take takes a token for a start, or returns the time until there is one.
func (p *pace) take(now time.Time) (wait time.Duration) {
	most := p.rate * paceBurst.Seconds()
	if p.at.IsZero() {
		p.tokens = most
	} else {
		p.tokens = min(p.tokens+p.rate*now.Sub(p.at).Seconds(), most)
	}
	p.at = now
	if p.tokens < 1 {
		return time.Duration((1-p.tokens)/p.rate*float64(time.Second)) + time.Microsecond
	}
	p.tokens--
	return 0
}
