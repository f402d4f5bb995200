package diag

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
)

// A Place is a position in a file that an administrator wrote. Line and Column count from 1, and Column counts
// characters. A Place with Line 0 means the whole file. Text is the text of the line, for the excerpt.
type Place struct {
	File   string
	Line   int
	Column int
	Text   string
}

// String gives the place as file:line:column, the form that editors and terminals understand, or the file alone.
func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Severity separates faults, which stop a load, from warnings, which do not, and from remarks, which harm nothing.
type Severity int

// The severities.
const (
	Fault Severity = iota
	Warning
	Remark
)

// String gives the word before a message: error, warning or note.
func (s Severity) String() string {
	switch s {
	case Warning:
		return "warning"
	case Remark:
		return "note"
	}
	return "error"
}

// A Diagnostic is a message to the author of a farm: the place, the mistake and the remedy.
type Diagnostic struct {
	Severity Severity
	Farm     string // the farm's name, where it is known
	Place    Place
	Message  string // the mistake: lower case, no full stop
	Hint     string // the remedy, "" if there is none
	Also     []Note // the other places of a conflict
}

// A Note is another place of a Diagnostic, with its own message.
type Note struct {
	Place   Place
	Message string
}

// Diagnostics are the messages of a run.
type Diagnostics []Diagnostic

// Faulty reports whether one of them is a fault. Nothing may be loaded then.
func (ds Diagnostics) Faulty() bool {
	return slices.ContainsFunc(ds, func(d Diagnostic) bool { return d.Severity == Fault })
}

// Sort orders the diagnostics by file, line, column and message, and drops repetitions.
func (ds *Diagnostics) Sort() {
	slices.SortStableFunc(*ds, func(a, b Diagnostic) int {
		return cmp.Or(
			strings.Compare(a.Place.File, b.Place.File),
			cmp.Compare(a.Place.Line, b.Place.Line),
			cmp.Compare(a.Place.Column, b.Place.Column),
			strings.Compare(a.Message, b.Message),
		)
	})
	*ds = slices.CompactFunc(*ds, func(a, b Diagnostic) bool {
		return a.Place == b.Place && a.Message == b.Message
	})
}

// A Palette has the escape sequences for the parts of a printed diagnostic. The zero Palette prints without colours.
type Palette struct {
	Fault, Warning, Added, Hint, Bold, Reset string
}

// Terminal is the palette of ANSI terminals (ECMA-48, SGR).
var Terminal = Palette{
	Fault:   "\x1b[31m",
	Warning: "\x1b[33m",
	Added:   "\x1b[32m",
	Hint:    "\x1b[36m",
	Bold:    "\x1b[1m",
	Reset:   "\x1b[0m",
}

// Print writes the diagnostics for people: place and message, the line with a caret under the column, the other places
// of a conflict, and the hint. Texts of users are made Printable. Errors of w are ignored.
func (ds Diagnostics) Print(w io.Writer, p Palette) {
	for _, d := range ds {
		d.print(w, p)
	}
}

func (d Diagnostic) print(w io.Writer, p Palette) {
	colour := p.Fault
	if d.Severity != Fault {
		colour = p.Warning
	}
	at := d.Place.String()
	if at != "" {
		at += ": "
	}
	fmt.Fprintf(w, "%s%s%s", p.Bold, Printable(at), p.Reset)
	fmt.Fprintf(w, "%s%s:%s %s\n", colour, d.Severity, p.Reset, Printable(d.Message))
	excerpt(w, d.Place, p)
	for _, n := range d.Also {
		fmt.Fprintf(w, "  %s%s%s: %s\n", p.Bold, Printable(n.Place.String()), p.Reset, Printable(n.Message))
		excerpt(w, n.Place, p)
	}
	if d.Hint != "" {
		fmt.Fprintf(w, "  %shint:%s %s\n", p.Hint, p.Reset, Printable(d.Hint))
	}
}

// maxMessage is the length of a message in bytes: a message quotes values, which have any length.
const maxMessage = 400

// Shorten gives the beginning and the end of a long message.
func Shorten(text string) string {
	if len(text) <= maxMessage {
		return text
	}
	beginning, end := text[:maxMessage/2], text[len(text)-maxMessage/4:]
	return strings.ToValidUTF8(beginning, "") + " ... " + strings.ToValidUTF8(end, "")
}

// maxExcerpt is the length of an excerpt of a long line, in characters.
const maxExcerpt = 120

// excerpt prints the line of a place, with a caret under the column.
func excerpt(w io.Writer, at Place, p Palette) {
	if at.Line == 0 {
		return
	}
	line := []rune(strings.ReplaceAll(at.Text, "\t", " "))
	column := min(max(at.Column, 1), len(line)+1)
	if over := column - maxExcerpt*2/3; over > 0 && len(line) > maxExcerpt {
		line = append([]rune("..."), line[over:]...)
		column += 3 - over
	}
	if len(line) > maxExcerpt {
		line = append(line[:maxExcerpt:maxExcerpt], []rune("...")...)
	}
	gutter := fmt.Sprintf("%5d", at.Line)
	fmt.Fprintf(w, "%s | %s\n", gutter, Printable(string(line)))
	fmt.Fprintf(w, "%s | %s%s^%s\n", strings.Repeat(" ", len(gutter)), strings.Repeat(" ", column-1), p.Fault, p.Reset)
}

// Printable replaces the characters that are not printable by U+FFFD: line ends, escapes, and characters without width
// or with a direction. A text of a user then cannot control a terminal or forge a line of a log.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}
