package compiler

import (
	"strings"
)

func readPersistence(t *table) {
	if t == nil {
		return
	}
	on := readHashKeys(t, "on")
	t.duration("timeout")
	if t.has("prefix") {
		if lengths := t.numbers("prefix", 1, 128); len(lengths) == 1 || len(lengths) > 2 || len(lengths) == 2 && lengths[0] > 32 {
			t.fault(t.at("prefix"), "prefix = [24, 64]", "prefix: wants the length for IPv4, 1 to 32, and the one for IPv6, 1 to 128")
		}
	}
	for _, e := range t.entries("static") {
		if parts := strings.Split(e.key.text, " . "); len(parts) != max(len(on), 1) {
			t.fault(e.key.place, `several keys are written "198.51.100.7 . 5060"`, "static: %q has %d parts, and persistence is on %d", e.key.text, len(parts), max(len(on), 1))
		}
		if !backendNaming.MatchString(e.value.text) {
			t.fault(e.value.place, backendNamingRule, "static: %q can't be the name of a backend", e.value.text)
		}
	}
}
