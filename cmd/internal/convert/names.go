package convert

import (
	"fmt"
	"strings"

	"farmc/compiler/farm"
)

// names are the names that are taken, in lower case: farmc refuses names that differ by case alone.
type names struct{ taken map[string]bool }

// pick gives a name near the one that is wanted: legal, and not taken. The other name stands for a wanted one without a
// letter or digit.
func (n *names) pick(wanted, other string) string {
	if n.taken == nil {
		n.taken = map[string]bool{}
	}
	base := LegalName(wanted, other)
	name := base
	for i := 2; n.taken[strings.ToLower(name)]; i++ {
		suffix := fmt.Sprintf("-%d", i)
		name = base[:min(len(base), farm.LongestName-len(suffix))] + suffix
	}
	n.taken[strings.ToLower(name)] = true
	return name
}

// LegalName replaces each run of characters that a name cannot have by a hyphen. The other name stands for one without
// a letter or digit.
func LegalName(wanted, other string) string {
	var out strings.Builder
	for _, r := range wanted {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '_':
			out.WriteRune(r)
		case !strings.HasSuffix(out.String(), "-"):
			out.WriteByte('-')
		}
		if out.Len() > farm.LongestName {
			break
		}
	}
	name := strings.Trim(out.String(), "-._")
	name = strings.TrimRight(name[:min(len(name), farm.LongestName)], "-._")
	if !farm.IsName(name) {
		return other
	}
	return name
}
