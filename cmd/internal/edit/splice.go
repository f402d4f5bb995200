package edit

import (
	"cmp"
	"slices"
	"strings"
)

// A splice replaces the bytes of a text from start up to end.
type splice struct {
	start, end int
	text       string
	late       bool // it stands behind the others of the same start: headings end the section before
}

// spliced applies splices to a text. Removed ranges may overlap.
func spliced(text string, splices []splice) string {
	slices.SortStableFunc(splices, func(a, b splice) int {
		return cmp.Or(cmp.Compare(a.start, b.start), compareFlags(a.late, b.late))
	})
	var out strings.Builder
	at := 0
	for _, s := range splices {
		if s.start > at {
			out.WriteString(text[at:s.start])
		}
		out.WriteString(s.text)
		at = max(at, s.end)
	}
	out.WriteString(text[at:])
	return out.String()
}

func compareFlags(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
