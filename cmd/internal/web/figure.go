package web

import (
	"net/url"

	"farmc/cmd/internal/overview"
)

// A figure is a number with its small graph.
type figure struct {
	Kind   string // names its column
	Title  string // of the column
	Label  string // what the graph shows
	Value  string
	Course []*float32
	Words  func(float64) string // of the values of the course
	Why    string               // why the number is not known; "": no reason
}

// figuresOf returns the numbers of a farm or of all farms, with their courses in a span.
func figuresOf(n overview.Numbers, s span, noBytes string) []figure {
	t := s.of(n.Trend, n.History)
	if noBytes != "" { // the last sample can be older
		n.Bytes, t.Bytes = nil, nil
	}
	return []figure{
		{"new", "New/s", "New connections per second", known(n.New, rateWords), t.New, rateWords, ""},
		{"open", "Open", "Open connections", known(n.Open, countWords), t.Open, meanWords, ""},
		{"bytes", "Bytes/s", "Bytes per second", known(n.Bytes, bytesWords), t.Bytes, bytesWords, noBytes},
		{"denied", "Denied/s", "Packets denied per second", known(n.Denied, rateWords), t.Denied, rateWords, ""},
	}
}

// knownFigures leaves out the numbers that are not known for a reason: a table needs no column for them.
func knownFigures(all []figure) (out []figure) {
	for _, f := range all {
		if f.Why == "" {
			out = append(out, f)
		}
	}
	return out
}

// backendFigures returns the numbers of a backend. A backend denies no packets.
func backendFigures(b overview.Backend, s span, noBytes string) []figure {
	all := knownFigures(figuresOf(overview.Numbers{New: b.NewPerSecond, Open: b.Open, Bytes: b.BytesPerSecond,
		Trend: b.Trend, History: b.History}, s, noBytes))
	return all[:len(all)-1]
}

// A span is the time that graphs show.
type span string

// The spans.
const (
	lastHour   span = ""
	sinceStart span = "start"
)

// spanOf returns the span that an address asks for.
func spanOf(q url.Values) span {
	if span(q.Get("span")) == sinceStart {
		return sinceStart
	}
	return lastHour
}

// of returns the course in the span.
func (s span) of(trend, history overview.Trend) overview.Trend {
	if s == sinceStart {
		return history
	}
	return trend
}

// A spanChoice leads to the graphs of a span.
type spanChoice struct {
	Words   string
	Link    string
	Current bool
}

// spanChoices are the spans, with the addresses of a page for them. farmc watch started so many seconds ago.
func spanChoices(current span, seconds float64, link func(span) string) []spanChoice {
	return []spanChoice{
		{"last hour", link(lastHour), current == lastHour},
		{"since the start, " + secondsWords(seconds), link(sinceStart), current == sinceStart},
	}
}
