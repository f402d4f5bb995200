package toml

import (
	"fmt"
	"regexp"
	"strconv"
)

// A Rate is how often something may happen. The zero Rate is none.
type Rate struct {
	Count int
	Per   string // second, minute, hour, day
}

// String writes the rate as nft and farms do.
func (r Rate) String() string { return fmt.Sprintf("%d/%s", r.Count, r.Per) }

var rateForm = regexp.MustCompile(`^([0-9]{1,9})/(second|minute|hour|day)$`)

// Rate reads a rate like "10/second".
func (t *Table) Rate(key string) Rate {
	text := t.Text(key)
	if text == "" && !t.Has(key) {
		return Rate{}
	}
	if m := rateForm.FindStringSubmatch(text); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil && n > 0 {
			return Rate{n, m[2]}
		}
	}
	t.Fault(t.At(key), `"10/second", "10/minute", "10/hour" or "10/day"`, "%s: %q is not a rate", key, text)
	return Rate{}
}
