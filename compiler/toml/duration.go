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

// shortest is the shortest duration, and all are multiples of it, as nft counts in milliseconds.
const shortest = time.Millisecond

// written is how a duration is written: the units of time.ParseDuration, and days before them.
var written = regexp.MustCompile(`^(?:([0-9]+)d)?((?:[0-9]+(?:\.[0-9]+)?(?:ns|us|µs|ms|s|m|h))*)$`)

// Duration reads a time like "90s", "1h30m" or "2d", of whole milliseconds, at most a year.
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
		t.wrong(v, key, "a duration", fmt.Sprintf("%s = %q", key, example))
		return 0
	}
	parts := written.FindStringSubmatch(text)
	if parts == nil || text == "" {
		t.Fault(
			v.Place,
			`a number and a unit, as in "90s", "5m", "1h30m" or "2d"`,
			"%s is %q, not a duration",
			key,
			text,
		)
		return 0
	}
	d := span(parts[1], parts[2])
	switch {
	case d < shortest:
		t.Fault(v.Place, "", "%s is %q, at least 1ms", key, text)
	case d > MaxDuration:
		t.Fault(v.Place, "", "%s is %q, at most 365d", key, text)
	case d%shortest != 0:
		t.Fault(v.Place, "", "%s is %q, not a whole number of milliseconds", key, text)
	default:
		return d
	}
	return 0
}

// span adds days and the rest; a time that does not fit a time.Duration counts as longer than the longest.
func span(days, rest string) time.Duration {
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

// ParseDuration reads a time as farms write it: "90s", "1h30m", "2d"; at least a millisecond, and at most a year.
func ParseDuration(text string) (time.Duration, bool) {
	parts := written.FindStringSubmatch(text)
	if parts == nil || text == "" {
		return 0, false
	}
	d := span(parts[1], parts[2])
	return d, shortest <= d && d <= MaxDuration && d%shortest == 0
}
