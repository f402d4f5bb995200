package lsp

import (
	"regexp"
	"strings"
)

// A kind tells the parts of a text that a farm's author can ask about.
type kind byte

// The kinds.
const (
	nothing kind = iota
	headingPart
	keyPart
	valuePart
)

// A span is a part of a text, with the path of the key that it belongs to.
type span struct {
	kind       kind
	path       []string // with the name of the part itself
	start, end int
}

// A situation is the end of a text that breaks off: the next characters are a part of a heading, a key or a value.
type situation struct {
	kind   kind
	path   []string // of a value; of the table that a key or a part of a heading is in
	start  int      // of the word that breaks off
	quote  string   // in which the value stands; "": in none, as yet
	inline bool     // of a key: in braces, or behind a dot
}

// scan outlines a TOML text that may be incomplete, as it is while an author writes. A line that is no statement is
// skipped; a list without an end ends before the next statement.
func scan(text string) ([]span, situation) {
	s := &scanner{text: text}
	if strings.HasPrefix(text, byteOrderMark) {
		s.at = len(byteOrderMark)
	}
	for s.nextStatement() {
		if s.text[s.at] == '[' {
			s.heading()
		} else {
			s.assignment(s.table, false, 0)
		}
		if s.done() || !s.restOfLine() {
			break
		}
	}
	return s.spans, s.open
}

// A scanner stands at an offset of a text. If it is at the end, open tells what breaks off there.
type scanner struct {
	text  string
	at    int
	table []string // of the last heading
	spans []span
	open  situation
}

func (s *scanner) done() bool { return s.at >= len(s.text) }

func (s *scanner) sees(text string) bool { return strings.HasPrefix(s.text[s.at:], text) }

// nextStatement moves to the next statement; false at the end of the text.
func (s *scanner) nextStatement() bool {
	if !s.blanks(" \t\r\n") {
		s.open = situation{}
		return false
	}
	s.open = situation{kind: keyPart, path: s.table, start: s.at}
	return !s.done()
}

// blanks skips blanks and comments; false if the text ends in a comment.
func (s *scanner) blanks(set string) bool {
	for !s.done() {
		switch {
		case strings.IndexByte(set, s.text[s.at]) >= 0:
			s.at++
		case s.text[s.at] == '#':
			s.at = lineEnd(s.text, s.at)
			if s.done() {
				return false
			}
		default:
			return true
		}
	}
	return true
}

func lineEnd(text string, at int) int {
	if i := strings.IndexByte(text[at:], '\n'); i >= 0 {
		return at + i
	}
	return len(text)
}

// restOfLine skips the rest of a line behind a statement; false if the text ends there.
func (s *scanner) restOfLine() bool {
	s.at = lineEnd(s.text, s.at)
	s.open = situation{}
	return !s.done()
}

// heading scans [a.b] or [[a.b]].
func (s *scanner) heading() {
	for s.sees("[") && !s.done() {
		s.at++
	}
	s.table = s.name(nil, headingPart, false)
	for s.sees("]") && !s.done() {
		s.at++
		s.open = situation{}
	}
}

// name scans the parts of a dotted key, and gives the whole path.
func (s *scanner) name(above []string, k kind, inline bool) []string {
	path := above
	for {
		s.spaces()
		start := s.at
		s.open = situation{kind: k, path: path, start: start, inline: inline}
		name, complete := s.namePart()
		if s.at == start {
			return path
		}
		path = append(path[:len(path):len(path)], name)
		s.spans = append(s.spans, span{k, path, start, s.at})
		if s.done() && !complete {
			return path
		}
		s.open = situation{}
		if s.spaces(); !s.sees(".") {
			return path
		}
		s.at++
		inline = true
	}
}

// namePart scans a name, in quotes or without. A name without quotes at the end of the text may go on.
func (s *scanner) namePart() (name string, complete bool) {
	if s.sees(`"`) || s.sees("'") {
		quote, start := s.text[s.at:s.at+1], s.at+1
		for s.at++; !s.done() && !s.sees(quote) && !s.sees("\n"); {
			s.at++
		}
		name = s.text[start:s.at]
		if complete = s.sees(quote); complete {
			s.at++
		}
		return name, complete
	}
	start := s.at
	for !s.done() && isBare(s.text[s.at]) {
		s.at++
	}
	return s.text[start:s.at], false
}

func isBare(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '_' || b == '-'
}

func (s *scanner) spaces() {
	for !s.done() && (s.text[s.at] == ' ' || s.text[s.at] == '\t') {
		s.at++
	}
}

// assignment scans a key and its value.
func (s *scanner) assignment(table []string, inline bool, depth int) {
	path := s.name(table, keyPart, inline)
	if s.spaces(); !s.sees("=") || s.done() {
		return
	}
	s.at++
	s.spaces()
	s.value(path, depth)
}

// maxDepth is the number of lists and tables in each other that are looked at.
const maxDepth = 16

// value scans a value of a key.
func (s *scanner) value(path []string, depth int) {
	start := s.at
	s.open = situation{kind: valuePart, path: path, start: start}
	switch {
	case s.done() || depth == maxDepth:
		return
	case s.sees("["):
		s.list(path, depth)
	case s.sees("{"):
		s.braces(path, depth)
	case s.sees(`"`) || s.sees("'"):
		s.quoted(path)
	default:
		for !s.done() && strings.IndexByte(" \t\r\n,]}#", s.text[s.at]) < 0 {
			s.at++
		}
		if !s.done() {
			s.open = situation{}
		}
	}
	s.spans = append(s.spans, span{valuePart, path, start, s.at})
}

// quoted scans a text in quotes: of one line, or of several in three quotes.
func (s *scanner) quoted(path []string) {
	quote := s.text[s.at : s.at+1]
	if triple := strings.Repeat(quote, 3); s.sees(triple) {
		quote = triple
	}
	s.at += len(quote)
	s.open = situation{kind: valuePart, path: path, start: s.at, quote: quote}
	for ; !s.done(); s.at++ {
		switch {
		case s.sees(quote):
			s.at += len(quote)
			s.open = situation{}
			return
		case len(quote) == 1 && s.sees("\n"):
			s.open = situation{}
			return
		case quote[0] == '"' && s.sees(`\`) && s.at+1 < len(s.text):
			s.at++
		}
	}
}

// statementPattern matches the beginning of a statement: a list of texts or numbers has no such line.
var statementPattern = regexp.MustCompile(`^(\[+[A-Za-z]|[A-Za-z0-9_.-]+[ \t]*=)`)

// list scans a list.
func (s *scanner) list(path []string, depth int) {
	s.at++
	for {
		from := s.at
		if !s.blanks(" \t\r\n,") {
			s.open = situation{}
			return
		}
		s.open = situation{kind: valuePart, path: path, start: s.at}
		switch {
		case s.done():
			return
		case s.sees("]"):
			s.at++
			s.open = situation{}
			return
		case strings.Contains(s.text[from:s.at], "\n") && statementPattern.MatchString(s.text[s.at:]):
			s.at = lastLineEnd(s.text, s.at)
			s.open = situation{}
			return
		}
		before := s.at
		if s.value(path, depth+1); s.done() {
			return // open has the situation in the value
		}
		if s.at == before {
			s.at++ // a character that begins no value
		}
	}
}

// lastLineEnd gives the offset of the end of the line before the one of an offset.
func lastLineEnd(text string, at int) int { return strings.LastIndexByte(text[:at], '\n') }

// braces scans an inline table, which has one line.
func (s *scanner) braces(path []string, depth int) {
	s.at++
	for {
		for !s.done() && strings.IndexByte(" \t,", s.text[s.at]) >= 0 {
			s.at++
		}
		s.open = situation{kind: keyPart, path: path, start: s.at, inline: true}
		switch {
		case s.done():
			return
		case s.sees("}"):
			s.at++
			s.open = situation{}
			return
		case s.sees("\n") || s.sees("\r"):
			s.open = situation{}
			return
		}
		before := s.at
		if s.assignment(path, true, depth+1); s.done() {
			return
		}
		if s.at == before {
			s.at++
		}
	}
}
