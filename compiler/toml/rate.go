package toml

import (
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

var ratePattern = regexp.MustCompile(`^([0-9]{1,9})/(second|minute|hour|day)$`)

// Rate reads a rate like "10/second". It is the zero Rate if the key is absent or has a fault.
func (t *Table) Rate(key string) Rate {
	text := t.Text(key)
	if text == "" && !t.Has(key) {
		return Rate{}
	}
	if m := ratePattern.FindStringSubmatch(text); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil && n > 0 {
			return Rate{n, m[2]}
		}
	}
	t.Fault(t.At(key), `"10/second", "10/minute", "10/hour" or "10/day"`, "%s: %q is not a rate", key, text)
	return Rate{}
}
