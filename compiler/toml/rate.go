package toml

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
)

// A Rate is a number of events in a unit of time. The zero Rate is no rate.
type Rate struct {
	Count int    // from 1 to 999999999
	Per   string // second, minute, hour, day
}

// String writes the rate as nft and farms do.
func (r Rate) String() string { return fmt.Sprintf("%d/%s", r.Count, r.Per) }

var ratePattern = regexp.MustCompile(`^([0-9]{1,9})/(second|minute|hour|day|s|m|h|d)$`)

// rateUnits are the short names of units, the same as in durations.
var rateUnits = map[string]string{"s": "second", "m": "minute", "h": "hour", "d": "day"}

// Rate reads a rate like "10/second" or "10/s". It is the zero Rate if the key is absent or has a fault.
func (t *Table) Rate(key string) Rate {
	v, ok := t.Raw(key)
	if !ok {
		return Rate{}
	}
	text, ok := v.Data.(string)
	if !ok {
		t.typeFault(v, key, "a rate", rateExample(key, v.Data))
		return Rate{}
	}
	rate, ok := parseRate(text)
	if !ok {
		t.Fault(v.Place, `"10/second", "10/minute", "10/hour" or "10/day"`, "%s: %q is not a rate", key, text)
	}
	return rate
}

func parseRate(text string) (r Rate, ok bool) {
	m := ratePattern.FindStringSubmatch(text)
	if m == nil {
		return Rate{}, false
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n == 0 {
		return Rate{}, false
	}
	return Rate{n, cmp.Or(rateUnits[m[2]], m[2])}, true
}

// rateExample writes a number as the rate that was likely meant.
func rateExample(key string, data any) string {
	n, ok := data.(int64)
	if !ok || n < 1 || n > 999999999 {
		n = 10
	}
	return fmt.Sprintf(`%s = "%d/second"`, key, n)
}
