package edit

import "strings"

// lines answers questions about the lines of a text.
type lines string

// start is the offset where the line of an offset begins.
func (l lines) start(at int) int { return strings.LastIndexByte(string(l[:at]), '\n') + 1 }

// end is the offset after the line of an offset, its end included.
func (l lines) end(at int) int {
	if end := strings.IndexByte(string(l[at:]), '\n'); end >= 0 {
		return at + end + 1
	}
	return len(l)
}

// at is the line that begins at an offset, without spacing around it.
func (l lines) at(start int) string { return strings.TrimSpace(string(l[start:l.end(start)])) }

// blank reports whether there is a blank line at an offset, where a line begins.
func (l lines) blank(start int) bool { return start < len(l) && l.at(start) == "" }

// before is where the line before the one at an offset begins; -1 if there is none.
func (l lines) before(start int) int {
	if start == 0 {
		return -1
	}
	return l.start(start - 1)
}

// indent is the spacing before the first character of the line of an offset.
func (l lines) indent(at int) string {
	line := string(l[l.start(at):at])
	return line[:len(line)-len(strings.TrimLeft(line, " \t"))]
}

// width is the length of the spacing at the beginning of a line.
func (l lines) width(start int) int {
	line := string(l[start:l.end(start)])
	return len(line) - len(strings.TrimLeft(line, " \t"))
}

// comment reports whether the line that begins at an offset is a comment alone.
func (l lines) comment(start int) bool { return start < len(l) && strings.HasPrefix(l.at(start), "#") }

// endOfLine is how the lines before an offset end.
func (l lines) endOfLine(at int) string {
	end := strings.LastIndexByte(string(l[:at]), '\n')
	if end < 0 {
		end = strings.IndexByte(string(l), '\n')
	}
	if end > 0 && l[end-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// afterStatement is the offset after a statement that ends at an offset: its line, with the comment that goes on in
// the next lines, which are indented deeper than the statement.
func (l lines) afterStatement(start, end int) int {
	after := l.end(end)
	if !strings.HasPrefix(strings.TrimLeft(string(l[end:after]), " \t"), "#") {
		return after
	}
	own := len(l.indent(start))
	for l.comment(after) && l.width(after) > own {
		after = l.end(after)
	}
	return after
}

// afterComments is the offset after the comments that begin at an offset, if a blank line or the end of the text
// follows them. Comments before anything else belong to it.
func (l lines) afterComments(start int) int {
	after := start
	for l.comment(after) {
		after = l.end(after)
	}
	if after == len(l) || l.blank(after) {
		return after
	}
	return start
}

// afterSection is the offset after a section: its last statement, and the comments right below, which are often keys
// that are switched off.
func (l lines) afterSection(s *section) int {
	var start, end int
	switch {
	case len(s.body) > 0:
		last := s.body[len(s.body)-1]
		start, end = last.Start, last.End
	case s.heading != nil:
		start, end = s.heading.Start, s.heading.End
	}
	return l.afterComments(l.afterStatement(start, end))
}
