package web

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/overview"
)

// functions are the functions of templates.
func (s *Site) functions() template.FuncMap {
	return template.FuncMap{
		"file":    func(name string) string { return "/ui/static/" + name + "?v=" + s.files[name].version },
		"ago":     func(t time.Time) string { return agoWords(s.now().Sub(t)) },
		"time":    parseTime,
		"clock":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" },
		"iso":     func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"packets": func(n uint64) string { return thousands(int64(n)) },
		"share":   shareWords,
		"state":   stateOf,
		"row":     rowState,
		"group":   groupState,
		"spark":   newSparkline,
		"join":    strings.Join,
		"add":     func(a, b int) int { return a + b },
		"sub":     func(a, b int) int { return a - b },
		"word":    func(word, shape string) state { return state{word, shape} },
		"bar":     barWidth,
		"listen":  func(text string) string { return strings.TrimSuffix(text, "/tcp") },
		"changesOf": func(all overview.Changes, farm string) changesPart {
			return changesPart{all.Changes, all.Since, farm}
		},
		"healthOf": healthOf,
		"plural":   plural,
		"number":   countWords,
		"dur":      secondsWords,
		"list":     func(items ...any) []any { return items },
		"both":     func(o *outcome, token string) any { return outcomePart{o, token} },
	}
}

// An outcomePart is an outcome with the token of its form.
type outcomePart struct {
	Outcome *outcome
	Token   string
}

// A changesPart is a list of changes. A farm that has the page to itself is not named in it.
type changesPart struct {
	Changes []overview.Change
	Since   time.Time
	Farm    string
}

// known writes a number that may be unknown.
func known[N any](n *N, words func(N) string) string {
	if n == nil {
		return "–"
	}
	return words(*n)
}

// rateWords writes a number with two digits at least: 0.4, 12, 3.1k.
func rateWords(n float64) string {
	switch {
	case n == 0:
		return "0"
	case n < 10:
		return strconv.FormatFloat(n, 'f', 1, 64)
	case n < 10_000:
		return thousands(int64(math.Round(n)))
	case n < 1e6:
		return strconv.FormatFloat(n/1e3, 'f', 1, 64) + "k"
	}
	return strconv.FormatFloat(n/1e6, 'f', 1, 64) + "M"
}

// meanWords writes the mean of numbers of things.
func meanWords(n float64) string {
	if n == math.Trunc(n) {
		return countWords(int(n))
	}
	return rateWords(n)
}

func countWords(n int) string { return thousands(int64(n)) }

// bytesWords writes a number of bytes with its unit: 940 B, 1.2 kB, 34 MB.
func bytesWords(n float64) string {
	for _, unit := range []string{"B", "kB", "MB", "GB"} {
		if n < 999.5 {
			digits := 0
			if n < 9.95 && unit != "B" {
				digits = 1
			}
			return strconv.FormatFloat(n, 'f', digits, 64) + "\u202f" + unit
		}
		n /= 1000
	}
	return strconv.FormatFloat(n, 'f', 1, 64) + "\u202fTB"
}

// thousands writes a number with narrow spaces between the thousands.
func thousands(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "\u202f" + text[i:]
	}
	return text
}

func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(int64(n)) + " " + more
}

// barWidth is the width of a bar for a share, in pixels.
func barWidth(share float64, whole int) int { return int(math.Round(share * float64(whole))) }

func shareWords(share float64) string { return strconv.FormatFloat(100*share, 'f', 1, 64) + " %" }

// agoWords writes how long ago a time was.
func agoWords(d time.Duration) string {
	if d < 5*time.Second {
		return "just now"
	}
	return durationWords(d) + " ago"
}

// durationWords writes a time in its two largest units.
func durationWords(d time.Duration) string {
	d = d.Round(time.Second)
	days, hours, minutes, seconds := int(d.Hours())/24, int(d.Hours())%24, int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case days > 0:
		return fmt.Sprintf("%d d %d h", days, hours)
	case hours > 0:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%d min %d s", minutes, seconds)
	}
	return fmt.Sprintf("%d s", seconds)
}

func secondsWords(seconds float64) string {
	return durationWords(time.Duration(seconds * float64(time.Second)))
}

// parseTime reads a time of the API; zero for "".
func parseTime(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return t
}

// A state is a state of a farm or a backend: its word, and the shape that stands before it. Readers who see no colours
// tell states by both.
type state struct {
	Word  string
	Shape string // name of the shape, and of its colour
}

// rowState is the state of a farm.
func rowState(r overview.Row) state {
	switch r.Condition {
	case "":
		return state{"not loaded", "bad"}
	case live.Stopped:
		return state{"stopped", "bad"}
	case live.NoBackend:
		return state{"no backend", "bad"}
	case live.Panicking:
		return state{"panic", "bad"}
	case live.Disabled:
		return state{"down", "off"}
	}
	switch {
	case r.Group == overview.Problem && r.Condition == live.Degraded:
		return state{"degraded", "warn"}
	case r.Group == overview.Problem:
		return state{"faulty file", "warn"}
	case r.Group == overview.Planned:
		return state{"reduced", "planned"}
	}
	return state{"up", "good"}
}

// stateOf is the state of a backend.
func stateOf(b overview.Backend) state {
	switch {
	case b.Healthy != nil && !*b.Healthy:
		return state{"unhealthy", "bad"}
	case b.State == "drain":
		return state{"drain", "planned"}
	case b.State == "down":
		return state{"down", "off"}
	case b.State == "standby":
		return state{"standby", "off"}
	case b.SlowStart:
		return state{"slow start", "planned"}
	}
	return state{"up", "good"}
}

func groupState(g overview.Group) state {
	switch g {
	case overview.Problem:
		return state{"with problems", "bad"}
	case overview.Planned:
		return state{"reduced", "planned"}
	case overview.Down:
		return state{"down", "off"}
	}
	return state{"up", "good"}
}

// A healthPart tells why a backend does not take clients, or what checkers say.
type healthPart struct {
	Words string
	Bad   bool
	Since time.Time // zero: unknown
}

// healthOf returns the words about the health of a backend.
func healthOf(b overview.Backend) healthPart {
	since := parseTime(b.HealthSince)
	switch {
	case len(b.Health) > 0:
		return healthPart{wordsOf(b.Health), b.Healthy == nil || !*b.Healthy, since}
	case b.StateFile != "" && (b.State == "drain" || b.State == "down"):
		return healthPart{Words: fmt.Sprintf("%s by %s:%d", b.State, b.StateFile, b.StateLine)}
	case b.Healthy == nil:
		return healthPart{Words: "no health check"}
	case *b.Healthy:
		return healthPart{Words: "healthy", Since: since}
	}
	return healthPart{"unhealthy", true, since}
}

func wordsOf(all []live.HealthWord) string {
	out := make([]string, len(all))
	for i, w := range all {
		out[i] = w.String()
	}
	return strings.Join(out, "; ")
}
