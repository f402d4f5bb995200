package diag

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
)

// A Place is a position in a file that an administrator wrote. Line and Column count from 1, columns in
// characters; a Place without a Line speaks of the whole file. Text is the line itself, to be shown.
type Place struct {
	File   string
	Line   int
	Column int
	Text   string
}

// String gives the place as file:line:column, as editors and terminals understand it.
func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Severity tells faults, which stop a load, from warnings, which do not.
type Severity int

// The two severities.
const (
	Fault Severity = iota
	Warning
)

// String gives the word that stands before a message.
func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// A Diagnostic is a fault or warning for a farm's author: place, message, and the right form.
type Diagnostic struct {
	Severity Severity
	Farm     string // the farm's name, where it is known
	Place    Place
	Message  string // lower case, no full stop
	Hint     string // the right form, if it is known
	Also     []Note // the other places that belong to it, of a conflict
}

// A Note is a further place of a Diagnostic, with its part in the story.
type Note struct {
	Place   Place
	Message string
}

// Diagnostics are all that a run has to tell.
type Diagnostics []Diagnostic

// Faulty says whether a fault is among them, so that nothing may be loaded.
func (ds Diagnostics) Faulty() bool {
	return slices.ContainsFunc(ds, func(d Diagnostic) bool { return d.Severity == Fault })
}

// Sort puts the diagnostics into the order of files and lines, and drops duplicates.
func (ds *Diagnostics) Sort() {
	slices.SortStableFunc(*ds, func(a, b Diagnostic) int {
		if c := strings.Compare(a.Place.File, b.Place.File); c != 0 {
			return c
		}
		if a.Place.Line != b.Place.Line {
			return a.Place.Line - b.Place.Line
		}
		if a.Place.Column != b.Place.Column {
			return a.Place.Column - b.Place.Column
		}
		return strings.Compare(a.Message, b.Message)
	})
	*ds = slices.CompactFunc(*ds, func(a, b Diagnostic) bool {
		return a.Place == b.Place && a.Message == b.Message
	})
}

// Palette colours the parts of a printed diagnostic; the zero Palette prints plainly.
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

// Print shows the diagnostics to people: place and message, the line with a mark under the column, the hint,
// and the other places of a conflict.
func (ds Diagnostics) Print(w io.Writer, p Palette) {
	for _, d := range ds {
		d.print(w, p)
	}
}

func (d Diagnostic) print(w io.Writer, p Palette) {
	colour := p.Fault
	if d.Severity == Warning {
		colour = p.Warning
	}
	at := d.Place.String()
	if at != "" {
		at += ": "
	}
	fmt.Fprintf(
		w,
		"%s%s%s%s%s:%s %s\n",
		p.Bold,
		Printable(at),
		p.Reset,
		colour,
		d.Severity,
		p.Reset,
		Printable(d.Message),
	)
	excerpt(w, d.Place, p)
	for _, n := range d.Also {
		fmt.Fprintf(w, "  %s%s%s: %s\n", p.Bold, Printable(n.Place.String()), p.Reset, Printable(n.Message))
		excerpt(w, n.Place, p)
	}
	if d.Hint != "" {
		fmt.Fprintf(w, "  %shint:%s %s\n", p.Hint, p.Reset, Printable(d.Hint))
	}
}

// widest is how much of a long line an excerpt shows, in characters.
const widest = 120

func excerpt(w io.Writer, at Place, p Palette) {
	if at.Line == 0 {
		return
	}
	line := []rune(strings.ReplaceAll(at.Text, "\t", " "))
	column := min(max(at.Column, 1), len(line)+1)
	if over := column - widest*2/3; over > 0 && len(line) > widest {
		line = append([]rune("..."), line[over:]...)
		column += 3 - over
	}
	if len(line) > widest {
		line = append(line[:widest:widest], []rune("...")...)
	}
	gutter := fmt.Sprintf("%5d", at.Line)
	fmt.Fprintf(w, "%s | %s\n", gutter, Printable(string(line)))
	fmt.Fprintf(w, "%s | %s%s^%s\n", strings.Repeat(" ", len(gutter)), strings.Repeat(" ", column-1), p.Fault, p.Reset)
}

// Printable replaces the characters that are not printable, such as line ends, escapes, and characters without width or
// with a direction: a terminal or log shows a text of others, and does not obey it.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}
