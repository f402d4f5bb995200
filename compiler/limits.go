package compiler

import (
	"regexp"
	"strings"
)

func readLimits(t *table) {
	if t == nil {
		return
	}
	for _, key := range []string{"new-per-client", "resets-per-client", "new"} {
		readRate(t.sub(key))
	}
	t.number("connections-per-client", 0, 1, 1<<31-1)
	t.number("connections", 0, 1, 1<<31-1)
	t.number("clients", 65535, 1, 1<<24)
	t.duration("ban")
	t.flag("strict-tcp", false)
	t.choice("verdict", "drop", "drop", "reject", "log")
}

var rateForm = regexp.MustCompile(`^([0-9]{1,9})/(second|minute|hour|day)$`)

func checkRate(t *table, key string) {
	text := t.text(key)
	if text == "" && !t.has(key) {
		return
	}
	if m := rateForm.FindStringSubmatch(text); m == nil || strings.Trim(m[1], "0") == "" {
		t.fault(t.at(key), `"10/second", "10/minute", "10/hour" or "10/day"`, "%s: %q is not a rate", key, text)
	}
}

func readRate(t *table) {
	if t == nil {
		return
	}
	if !t.has("rate") {
		t.fault(t.place, `{ rate = "10/second", burst = 20 }`, "%s has no rate", t.name)
	}
	checkRate(t, "rate")
	t.number("burst", 5, 1, 1<<31-1)
}
