package edit

import (
	"fmt"
	"reflect"
	"strings"

	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// WrittenBy is the first line of the files that Write makes, without the end of the line. A file without it was
// written by a person.
const WrittenBy = "# written by farmc"

// Write gives the TOML text of a document: keys in the order of farms.d/reference.toml, tables with headings, backends
// by name. The same document gives the same bytes, and Read gives the document again. Each string is escaped, so
// that none becomes a statement. Faults are null, bytes that are not UTF-8, empty
// names, more than 16 levels, strings above 64 KiB, and a text above farm.MaxFarmSize. Write knows no other rule of
// farms, and takes any name.
func Write(document Document) ([]byte, []Fault) { return WriteNoted(document, nil) }

// Notes are comments of a document: one line each, by the path of the key that it stands above, with dots between the
// names. The note of "" stands at the top of the file. Of keys in a row with the same note the first one has it.
type Notes map[string]string

// WriteNoted is Write with comments. Characters of a note that are not printable are replaced.
func WriteNoted(document Document, notes Notes) ([]byte, []Fault) {
	if faults := check(document, false); len(faults) > 0 {
		return nil, faults
	}
	w := writer{order: keyOrder(), style: plain(), notes: notes}
	w.out.WriteString(WrittenBy + "\n")
	w.note(nil)
	w.table(nil, document)
	return verified([]byte(w.out.String()), document)
}

// verified holds a text that was made here against the document that it shall have. A text that is too large, or has
// lines that are too long for package toml, is the only fault that a document can cause.
func verified(text []byte, want Document) ([]byte, []Fault) {
	if len(text) > farm.MaxFarmSize {
		return nil, []Fault{{Message: fmt.Sprintf("the farm's file would have %d bytes, at most %d", len(text),
			farm.MaxFarmSize)}}
	}
	got, faults := Read(text)
	if len(faults) > 0 {
		return nil, faults
	}
	if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
		return nil, []Fault{{Message: "farmc cannot write this document, the mistake is farmc's",
			Hint: "please report it with the file and the request"}}
	}
	return text, nil
}

// A style has the spacing of statements.
type style struct {
	headingIndent, indent string // before headings and assignments
	equals                string // between key and value, as in " = "
	endOfLine             string
	tight                 bool // no blank line before headings
}

func plain() style { return style{equals: " = ", endOfLine: "\n"} }

// A writer writes tables with headings.
type writer struct {
	order
	style
	notes Notes
	noted string // the note written last
	out   strings.Builder
}

// note writes the comment of the key at a path, if it has one, and if it is not the one of the keys before.
func (w *writer) note(at []string) {
	if text := w.notes[strings.Join(at, ".")]; text != "" && text != w.noted {
		w.noted = text
		w.out.WriteString(w.indent + "# " + diag.Printable(text) + w.endOfLine)
	}
}

// table writes the table at a path: its own heading, where it needs one, its values, then the tables in it.
func (w *writer) table(at []string, table map[string]any) {
	var values, tables []string
	for _, name := range w.names(at, table) {
		if w.standsAlone(below(at, name), table[name]) {
			tables = append(tables, name)
		} else {
			values = append(values, name)
		}
	}
	if len(at) > 0 && (len(values) > 0 || len(tables) == 0) {
		w.heading(at)
	}
	for _, name := range values {
		w.assignment(keyLiteral(name), below(at, name), table[name])
	}
	for _, name := range tables {
		w.table(below(at, name), table[name].(map[string]any))
	}
}

// standsAlone reports whether a value is written as a table with a heading: as the format has it, or because it is too
// long for a line.
func (w *writer) standsAlone(at []string, value any) bool {
	table, isTable := value.(map[string]any)
	return isTable && (w.order.heading(at) || len(w.literal(at, table)) > longLine)
}

func (w *writer) heading(at []string) {
	if !w.tight {
		w.out.WriteString(w.endOfLine)
	}
	w.note(at)
	names := make([]string, len(at))
	for i, name := range at {
		names[i] = keyLiteral(name)
	}
	w.out.WriteString(w.headingIndent + "[" + strings.Join(names, ".") + "]" + w.endOfLine)
}

func (w *writer) assignment(key string, at []string, value any) {
	w.note(at)
	w.out.WriteString(w.indent + key + w.equals + w.wrapped(at, value, w.endOfLine) + w.endOfLine)
}
