package compilertest

import (
	"strings"
	"testing"
)

// KeysDiffer fails the test for keys that are in the map twice, and for intervals that overlap. The name is the map's.
func (m *readMap) KeysDiffer(t *testing.T, name string) {
	seen := map[string]int{}
	for i, e := range m.Elements {
		if before, twice := seen[e.Key]; twice {
			t.Errorf("map %s: line %d has the key of line %d", name, e.Line, before)
		}
		seen[e.Key] = e.Line
		for _, other := range m.Elements[:i] {
			if m.interval && overlapping(e.Key, other.Key) {
				t.Errorf("map %s: line %d overlaps line %d", name, e.Line, other.Line)
			}
		}
	}
}

// overlapping reports whether two intervals have a key in common: if so, one begins in the other.
func overlapping(a, b string) bool {
	first := func(interval string) string {
		parts := strings.Split(interval, " . ")
		for i, part := range parts {
			parts[i], _, _ = strings.Cut(part, "-")
		}
		return strings.Join(parts, " . ")
	}
	return within(first(a), b) || within(first(b), a)
}
