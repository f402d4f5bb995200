package slots

import "math"

// Lifetimes estimate how long the connections of backends last, from the numbers of connections that are open and that
// arrive: on average, as many are open as arrive in the time that one lasts (Little, "A Proof for the Queuing Formula
// L = lambda W", 1961). The zero Lifetimes know nothing yet.
type Lifetimes struct {
	backends map[string]*meanLoad
	all      meanLoad
}

// A meanLoad is sums over time, of which the older parts count less.
type meanLoad struct{ open, arrived float64 }

// memory is the time in seconds in which a part of the sums falls to 1/e.
const memory = 16.0

// longest is the longest estimate in seconds, for backends whose connections did not arrive within memory.
const longest = 3600.0

// Note adds what was seen in a time in seconds: the open connections at its end, and the ones that arrived in it.
func (l *Lifetimes) Note(backend string, open int, arrived uint64, seconds float64) {
	if l.backends == nil {
		l.backends = map[string]*meanLoad{}
	}
	if l.backends[backend] == nil {
		l.backends[backend] = &meanLoad{}
	}
	for _, m := range []*meanLoad{l.backends[backend], &l.all} {
		m.open += float64(open) * seconds
		m.arrived += float64(arrived)
	}
}

// Age has earlier parts of the sums count less, after a time in seconds.
func (l *Lifetimes) Age(seconds float64) {
	fall := math.Exp(-seconds / memory)
	for _, m := range l.backends {
		m.open, m.arrived = m.open*fall, m.arrived*fall
	}
	l.all.open, l.all.arrived = l.all.open*fall, l.all.arrived*fall
}

// Of gives the time in seconds that a connection of a backend lasts. A backend with few arrivals is taken for one like
// the others.
func (l *Lifetimes) Of(backend string) float64 {
	const few = 2 // arrivals of a backend like the others
	mean := clampLifetime(l.all.open / max(l.all.arrived, 1))
	m := l.backends[backend]
	if m == nil {
		return mean
	}
	return clampLifetime((m.open + few*mean) / (m.arrived + few))
}

func clampLifetime(seconds float64) float64 { return min(max(seconds, 0.01), longest) }
