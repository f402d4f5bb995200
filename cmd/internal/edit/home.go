package edit

import (
	"strings"
	"unicode/utf8"

	"farmc/compiler/toml"
)

// A home is the place for new assignments of a table.
type home struct {
	section *section   // where they stand
	after   *statement // which they follow; nil: they are the first ones of the section
	prefix  string     // the beginning of dotted keys, as the text spells it
	braces  *node      // the inline table that they stand in, instead of a section
}

// homeOf gives the home of a table; nil if the text has only tables in it.
func (s *setter) homeOf(table *node) *home {
	switch {
	case table.inBraces(s.text):
		return &home{braces: table}
	case table.heading != nil:
		h := home{section: table.heading}
		if body := h.section.body; len(body) > 0 {
			h.after = body[len(body)-1]
		}
		return &h
	case table.dotted != nil:
		parts := table.dotted.Parts
		return &home{section: table.dotted.section, after: table.dotted, braces: table.dotted.braces,
			prefix: s.text[parts[0].Start:parts[table.depth].Start]}
	}
	return nil
}

// assign adds an assignment at a home.
func (s *setter) assign(h *home, key string, at []string, value any) {
	key = h.prefix + key
	if h.braces != nil {
		s.assignInBraces(h.braces, key, s.literal(at, value))
		return
	}
	position := s.positionIn(h)
	endOfLine := s.lines.endOfLine(position)
	text := s.indentIn(h) + key + s.equals(h, key) + s.wrapped(at, value, endOfLine) + endOfLine
	s.insertLines(position, text, endOfLine, false)
}

// positionIn is the offset for a new line at a home.
func (s *setter) positionIn(h *home) int {
	switch heading := h.section.heading; {
	case h.after != nil:
		return s.lines.afterStatement(h.after.Start, h.after.End)
	case heading != nil:
		return s.lines.afterStatement(heading.Start, heading.End)
	case len(s.sections) == 1:
		return len(s.text)
	}
	return s.aboveComments(s.lines.start(s.sections[1].heading.Start))
}

// aboveComments is the offset above the comments right before a line. The ones that begin the text stay above.
func (s *setter) aboveComments(start int) int {
	above := start
	for before := s.lines.before(above); before >= 0 && s.lines.comment(before); before = s.lines.before(above) {
		above = before
	}
	if above == 0 {
		return start
	}
	return above
}

func (s *setter) indentIn(h *home) string {
	switch heading := h.section.heading; {
	case h.after != nil:
		return s.lines.indent(h.after.Start)
	case heading != nil:
		return s.lines.indent(heading.Start)
	}
	return ""
}

// equals is the text between a new key and its value: as in the assignment before, with the "=" in one column if the
// section has it so.
func (s *setter) equals(h *home, key string) string {
	if h.after == nil {
		return " = "
	}
	width, left, right := s.spacing(h.after.Statement)
	if !s.aligned(h.section, width, left) {
		return left + "=" + right
	}
	return strings.Repeat(" ", max(1, width-utf8.RuneCountInString(key))) + "=" + right
}

// spacing gives the width of a key with the spacing behind it, and the spacing around the "=".
func (s *setter) spacing(a *toml.Statement) (width int, left, right string) {
	keyEnd := a.Parts[len(a.Parts)-1].End
	left, right, _ = strings.Cut(s.text[keyEnd:a.Value.Start], "=")
	return utf8.RuneCountInString(s.text[a.Start:keyEnd]) + len(left), left, right
}

// maxCompared is the number of assignments that the spacing of a new one is compared with.
const maxCompared = 16

// aligned reports whether an assignment of a section has its "=" in one column with others by spacing.
func (s *setter) aligned(of *section, width int, left string) bool {
	if strings.Trim(left, " ") != "" || left == "" {
		return false
	}
	if len(left) > 1 {
		return true
	}
	for _, a := range of.body[max(0, len(of.body)-maxCompared):] {
		if other, spacing, _ := s.spacing(a.Statement); other == width && len(spacing) > 1 {
			return true
		}
	}
	return false
}

// assignInBraces adds an assignment to an inline table: behind the last item, or as a line before the last item where
// that one has a line for itself, so that comments keep their items.
func (s *setter) assignInBraces(braces *node, key, literal string) {
	if len(braces.items) == 0 {
		s.fillBraces(braces, key+" = "+literal)
		return
	}
	last := braces.items[len(braces.items)-1]
	_, left, right := s.spacing(last.Statement)
	if len(left) > 1 {
		left = " "
	}
	text := key + left + "=" + right + literal
	if start := s.lines.start(last.Start); strings.Trim(s.text[start:last.Start], " \t") == "" {
		line := s.text[start:last.Start] + text + "," + s.lines.endOfLine(start)
		s.splices = append(s.splices, splice{start: start, end: start, text: line})
		return
	}
	s.splices = append(s.splices, splice{start: last.End, end: last.End, text: ", " + text})
}

// fillBraces adds an assignment to an inline table that was empty.
func (s *setter) fillBraces(braces *node, text string) {
	at := braces.defined.Value.Start + 1
	if s.filled[braces] {
		s.splices = append(s.splices, splice{start: at, end: at, text: ", " + text})
		return
	}
	s.filled[braces] = true
	s.splices = append(s.splices, splice{start: at, end: at, text: " " + text})
	if s.text[at] == '}' {
		s.splices = append(s.splices, splice{start: at, end: at, text: " ", late: true})
	}
}

// styleOf gives the style for new sections that follow a section at an offset.
func (s *setter) styleOf(last *section, position int) style {
	out := style{equals: " = ", endOfLine: s.lines.endOfLine(position)}
	if len(last.body) > 0 {
		_, left, right := s.spacing(last.body[0].Statement)
		out.indent = s.lines.indent(last.body[0].Start)
		if left == "" {
			out.equals = "=" + right
		}
	}
	if last.heading == nil {
		return style{equals: out.equals, endOfLine: out.endOfLine}
	}
	start := s.lines.start(last.heading.Start)
	out.headingIndent = s.lines.indent(last.heading.Start)
	before := s.lines.before(start)
	followed := position < len(s.text) && !s.lines.blank(position)
	out.tight = followed || before >= 0 && !s.lines.blank(before) && !s.lines.comment(before)
	return out
}
