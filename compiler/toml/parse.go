package toml

import (
	"bytes"
	"fmt"
	"strings"

	"farmc/compiler/diag"
	burntsushi "github.com/BurntSushi/toml"
)

// Parse reads the text of a file. A text that is not TOML has one fault, as toml reports only the first, and there is
// no table.
func Parse(file string, text []byte, faults *diag.Diagnostics) *Table {
	p := &positions{file: file, text: strings.TrimLeft(string(text), byteOrderMark)}
	if d, bad := p.unreadable(); bad {
		*faults = append(*faults, d)
		return nil
	}
	marks, deep := scanKeys(p.text)
	if deep >= 0 {
		tooDeep := fmt.Sprintf("more than %d levels deep", maxDepth)
		*faults = append(*faults, diag.Diagnostic{Place: p.at(deep), Message: tooDeep})
		return nil
	}
	data := make(map[string]any)
	md, err := burntsushi.Decode(p.text, &data)
	if err != nil {
		*faults = append(*faults, p.explain(err))
		return nil
	}
	if !agree(marks, md.Keys()) {
		*faults = append(
			*faults,
			diag.Diagnostic{
				Place:   diag.Place{File: file},
				Message: "farmc doesn't find the keys of this file, though it is valid TOML",
				Hint:    "please report it with the file: the mistake is farmc's",
			},
		)
		return nil
	}
	top := newTable(nil, "", diag.Place{File: file}, data)
	top.faults = faults
	before := len(*faults)
	top.fill(p, marks)
	if len(*faults) > before {
		return nil
	}
	return top
}

const byteOrderMark = "\ufeff"

// Blank reports whether the text of a file is empty or holds blanks alone.
func Blank(text []byte) bool { return len(bytes.TrimSpace(bytes.TrimLeft(text, byteOrderMark))) == 0 }
