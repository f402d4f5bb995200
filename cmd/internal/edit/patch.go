package edit

import (
	"reflect"
	"strings"
)

// Patch applies a JSON merge patch (RFC 7396) to a TOML text: keys with a value are set, keys with null are removed,
// objects go into tables, lists are replaced as a whole. Only the statements of the named keys change. All other bytes
// stay: comments, order, spelling, spacing, ends of lines, a byte order mark, the missing end of the last line. A value
// that the text has already stays as it is spelled, so a patch that changes nothing gives the same bytes.
//
// A new key is written like its neighbours: in a section, in braces, or with a dotted key. A removed key takes its line
// and the comment on it along, a removed table its sections, with the comments inside and right below them, and the
// blank line before each.
//
// A text that is not TOML is a fault, and so is null in a list, and each value that Write refuses. The compiler says
// whether the result is a farm.
func Patch(text []byte, patch Document) ([]byte, []Fault) {
	old, faults := Read(text)
	faults = append(faults, check(patch, true)...)
	if len(faults) > 0 {
		return nil, faults
	}
	merged := mergePatch(map[string]any(old), map[string]any(patch)).(map[string]any)
	if reflect.DeepEqual(map[string]any(old), merged) {
		return text, nil
	}
	if faults := check(merged, false); len(faults) > 0 {
		return nil, faults
	}
	body := strings.TrimLeft(string(text), byteOrderMark)
	mark := string(text[:len(text)-len(body)])
	edited := set(remove(body, old, patch, merged), old, patch, merged)
	return verified([]byte(mark+sameEnd(body, edited)), merged)
}

// sameEnd takes the end of the last line from an edited text, if the text before had none.
func sameEnd(before, edited string) string {
	if before == "" || strings.HasSuffix(before, "\n") {
		return edited
	}
	return strings.TrimSuffix(strings.TrimSuffix(edited, "\n"), "\r")
}
