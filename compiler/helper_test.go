package compiler

import (
	"fmt"
	"strings"

	"farmc/compiler/diag"
)

// list writes faults a line each: place, message, hint and the other places.
func list(faults diag.Diagnostics) string {
	var lines []string
	for _, d := range faults {
		line := fmt.Sprintf("%s %s", short(d.Place), d.Message)
		if d.Hint != "" {
			line += " (" + d.Hint + ")"
		}
		for _, n := range d.Also {
			line += fmt.Sprintf(", see %s: %s", short(n.Place), n.Message)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func short(p diag.Place) string { return fmt.Sprintf("%d:%d", p.Line, p.Column) }
