package preflight

import (
	"fmt"
	"maps"
	"slices"
)

// An Ended is a finding that held at the last look, and does not hold now.
type Ended struct {
	Kind string
	Text string // as it was printed
}

// Lines are the texts of findings that ended. Of many findings of one kind it leaves the last ones out, and says so.
func Lines(all []Ended) (lines []string) {
	count := map[string]int{}
	for _, e := range all {
		if count[e.Kind]++; count[e.Kind] <= maxPrinted {
			lines = append(lines, e.Text)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(count)) {
		if more := count[kind] - maxPrinted; more > 0 {
			lines = append(lines, fmt.Sprintf("%d more findings like these (%s)", more, kind))
		}
	}
	return lines
}
