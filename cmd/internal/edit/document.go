package edit

import (
	"fmt"
	"strings"

	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// A Document is a farm, or a part of one, with the very keys of the TOML format: Document{"backends":
// map[string]any{"b1": map[string]any{"weight": int64(5)}}}. Values are string, int64, float64, bool, []any,
// map[string]any and, in a merge patch, nil. encoding/json writes it as the API shows it.
type Document map[string]any

// The bounds of documents. A farm nests four levels, and its strings fit on a line.
const (
	MaxSize   = 16 << 20 // of JSON, in bytes: farm.MaxFarmSize of TOML, with room for spacing and escapes
	maxDepth  = 16       // levels of objects and lists, the document itself included
	maxString = 64 << 10 // of a string or a name, in bytes; package toml refuses lines of four times that
	maxFaults = toml.MaxFaults
)

// A Fault is a mistake in a document: its place, a message and a hint. Its texts have no character that a terminal
// obeys.
type Fault struct {
	Key     string `json:"key,omitempty"`    // as TOML writes it: backends.b1.weight, listen[1]; "" for the document
	Line    int    `json:"line,omitempty"`   // from 1, in the text that has the fault; 0 if there is none
	Column  int    `json:"column,omitempty"` // in characters, from 1
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// String gives the fault as one line.
func (f Fault) String() string {
	var out strings.Builder
	if f.Line > 0 {
		fmt.Fprintf(&out, "%d:%d: ", f.Line, f.Column)
	}
	if f.Key != "" {
		out.WriteString(f.Key + ": ")
	}
	out.WriteString(f.Message)
	if f.Hint != "" {
		out.WriteString(" (" + f.Hint + ")")
	}
	return out.String()
}

// Read gives the document of a TOML text: one file, without the drop-ins that amend it, which the compiler merges. A
// blank text, which the compiler refuses as a farm, is an empty document.
func Read(text []byte) (Document, []Fault) {
	if strings.TrimSpace(strings.TrimLeft(string(text), byteOrderMark)) == "" {
		return Document{}, nil
	}
	var told diag.Diagnostics
	table := toml.Parse("", text, &told)
	if table == nil {
		return nil, faultsOf(told)
	}
	return table.Document(), nil
}

const byteOrderMark = "\ufeff"

func faultsOf(told diag.Diagnostics) (faults []Fault) {
	for _, d := range told {
		faults = append(faults, Fault{Line: d.Place.Line, Column: d.Place.Column, Message: diag.Printable(d.Message),
			Hint: diag.Printable(d.Hint)})
	}
	return faults
}

// A path is the way from a document to a value: names, and the indices of lists.
type path []any

// with gives the path of a part.
func (p path) with(step any) path { return append(p[:len(p):len(p)], step) }

// longestPath is the length of a path in faults, in bytes.
const longestPath = 200

// String writes the path as TOML does, and an index in brackets. A long path loses its end.
func (p path) String() string {
	var out strings.Builder
	for i, step := range p {
		switch step := step.(type) {
		case int:
			fmt.Fprintf(&out, "[%d]", step)
		case string:
			if i > 0 {
				out.WriteByte('.')
			}
			out.WriteString(keyLiteral(step))
		}
		if out.Len() > longestPath {
			return strings.ToValidUTF8(out.String()[:longestPath], "") + "..."
		}
	}
	return out.String()
}

// keyLiteral writes a name as a part of a TOML key.
func keyLiteral(name string) string {
	plain := strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
	if plain && name != "" {
		return name
	}
	return stringLiteral(name)
}
