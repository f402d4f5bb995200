package toml

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

const day = 24 * time.Hour

// MaxDuration is the longest duration that a file may give.
const MaxDuration = 365 * day

// minDuration is the shortest duration, and all are multiples of it, as nft counts in milliseconds.
const minDuration = time.Millisecond

// durationPattern matches a duration: days, and then the units of time.ParseDuration.
var durationPattern = regexp.MustCompile(`^(?:([0-9]+)d)?((?:[0-9]+(?:\.[0-9]+)?(?:ns|us|µs|ms|s|m|h))*)$`)

// Duration reads a time like "90s", "1h30m" or "2d": whole milliseconds, from 1ms to MaxDuration. It is 0 if the key is
// absent or has a fault.
func (t *Table) Duration(key string) time.Duration {
	v, ok := t.Raw(key)
	if !ok {
		return 0
	}
	text, ok := v.Data.(string)
	if !ok {
		example := "5m"
		if n, ok := v.Data.(int64); ok && n > 0 && n <= int64(MaxDuration/time.Second) {
			example = fmt.Sprintf("%ds", n)
		}
		t.typeFault(v, key, "a duration", fmt.Sprintf("%s = %q", key, example))
		return 0
	}
	parts := durationPattern.FindStringSubmatch(text)
	if parts == nil || text == "" {
		t.Fault(v.Place, durationHint, "%s is %q, not a duration", key, text)
		return 0
	}
	d := sumDuration(parts[1], parts[2])
	if bound := outOfBounds(d); bound != "" {
		t.Fault(v.Place, "", "%s is %q, %s", key, text, bound)
		return 0
	}
	return d
}

const durationHint = `a number and a unit, as in "90s", "5m", "1h30m" or "2d"`

// outOfBounds names the bound that the duration breaks, "" if there is none.
func outOfBounds(d time.Duration) string {
	switch {
	case d < minDuration:
		return "at least 1ms"
	case d > MaxDuration:
		return "at most 365d"
	case d%minDuration != 0:
		return "not a whole number of milliseconds"
	}
	return ""
}

// sumDuration adds days and the rest; a time that does not fit a time.Duration counts as longer than the longest.
func sumDuration(days, rest string) time.Duration {
	var d time.Duration
	if rest != "" {
		var err error
		if d, err = time.ParseDuration(rest); err != nil {
			return MaxDuration + 1
		}
	}
	if days == "" {
		return d
	}
	n, err := strconv.Atoi(days)
	if err != nil || n > int(MaxDuration/day) || d > MaxDuration {
		return MaxDuration + 1
	}
	return time.Duration(n)*day + d
}

// ParseDuration reads a time as farms write it, like Duration. It returns false if the text is no such time.
func ParseDuration(text string) (time.Duration, bool) {
	parts := durationPattern.FindStringSubmatch(text)
	if parts == nil || text == "" {
		return 0, false
	}
	d := sumDuration(parts[1], parts[2])
	return d, outOfBounds(d) == ""
}
