package compiler

import (
	"regexp"
	"slices"
	"strings"
)

var placeholder = regexp.MustCompile(`\{[^}]*\}?`)

func readLog(t *table) {
	if t == nil {
		return
	}
	for _, w := range t.words("on") {
		if on := []string{"input", "forward", "output", "denied", "limited"}; !slices.Contains(on, w.text) {
			t.fault(w.place, "one of "+strings.Join(on, ", "), "on: %q is nothing that can be logged", w.text)
		}
	}
	checkPrefix(t)
	checkRate(t, "rate")
}

// checkPrefix holds the text of a log line to what nft can carry: it has no escapes, and 127 bytes at most.
func checkPrefix(t *table) {
	text := t.text("prefix")
	for _, p := range placeholder.FindAllString(text, -1) {
		if !slices.Contains([]string{"{farm}", "{backend}", "{list}", "{reason}"}, p) {
			t.fault(t.at("prefix"), "{farm}, {backend}, {list} and {reason} are replaced", "prefix: nothing is known that could replace %q", p)
		}
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune("\"\\`$", r) }) || len(text) > 64 {
		t.fault(t.at("prefix"), `printable ASCII without quotes, backslashes and dollar signs, 64 at most`, "prefix: %q can't be carried by a rule", text)
	}
}
