package toml

import (
	"slices"
	"strings"

	burntsushi "github.com/BurntSushi/toml"
)

// A Statement is a heading or an assignment of a TOML text. Offsets count bytes.
type Statement struct {
	Kind       Kind
	Parts      []KeyPart // of the dotted key, one at least
	Value      Node      // of an assignment alone
	Start, End int       // from the key or the bracket to the end of the value or the bracket, without a comment
}

// A KeyPart is one name of a dotted key, and the offsets where it begins and ends, quotes included.
type KeyPart struct {
	Name       string
	Start, End int
}

// A Node is the offsets where a value begins and ends, with the items of an array or the keys of an inline table.
type Node struct {
	Start, End int
	Items      []Node
	Keys       []Statement
}

// A Kind tells the three places of TOML where a key can stand.
type Kind byte

// The kinds of statements.
const (
	Assignment  Kind = iota // a.b = 1, in a table or an inline table
	Heading                 // [a.b]
	ListHeading             // [[a.b]]
)

// maxDepth is how many levels of arrays, inline tables and dots a text may have: toml and all that come after it
// go down by recursion, and a Go stack that is full ends the program.
const maxDepth = 64

// maxPreallocated bounds the number of keys that memory is allocated for before they are found.
const maxPreallocated = 1 << 10

// Statements gives the statements of a text without faults in document order; of a text with faults a part of them.
// Offsets count from the beginning of the text, a byte order mark included.
func Statements(text string) []Statement {
	marked := len(text) - len(strings.TrimLeft(text, byteOrderMark))
	s := scanner{text: text, at: marked, deep: -1}
	return s.statements()
}

// scanKeys finds the keys of a text that toml accepts, in document order. It looks for places, never for faults: of any
// other text it gives the keys that it understands, and stops where it cannot go on. It stops as well where the text
// goes deeper than maxDepth, and gives the offset; otherwise deep is -1.
func scanKeys(text string) (marks []Statement, deep int) {
	s := scanner{text: text, deep: -1}
	return s.statements(), s.deep
}

// A scanner stands at an offset of a text. Each of its methods moves it past the thing that the method is named after.
type scanner struct {
	text  string
	at    int
	depth int
	deep  int
}

func (s *scanner) statements() []Statement {
	all := make([]Statement, 0, min(strings.Count(s.text, "\n")+1, maxPreallocated))
	for s.blank(); s.at < len(s.text); s.blank() {
		all = append(all, s.statement())
	}
	return all
}

func (s *scanner) statement() Statement {
	start := s.at
	switch {
	case s.accept("[["):
		return s.heading(start, ListHeading, "]]")
	case s.accept("["):
		return s.heading(start, Heading, "]")
	}
	return s.assignment()
}

func (s *scanner) heading(start int, k Kind, end string) Statement {
	m := Statement{Kind: k, Parts: s.key(), Start: start}
	if !s.accept(end) {
		s.stop()
	}
	m.End = s.at
	return m
}

func (s *scanner) assignment() Statement {
	m := Statement{Kind: Assignment, Start: s.at}
	m.Parts = s.key()
	if !s.accept("=") {
		s.stop()
	}
	s.space()
	m.Value = s.value()
	m.End = m.Value.End
	return m
}

func (s *scanner) key() []KeyPart {
	var parts []KeyPart
	for {
		s.space()
		if len(parts) == maxDepth {
			s.tooDeep()
		}
		parts = append(parts, s.keyPart())
		s.space()
		if !s.accept(".") {
			return parts
		}
	}
}

func (s *scanner) keyPart() KeyPart {
	p := KeyPart{Start: s.at}
	if s.quoted() {
		p.End = s.at
		p.Name = unquote(s.text[p.Start:s.at])
		return p
	}
	for s.at < len(s.text) && bare(s.text[s.at]) {
		s.at++
	}
	p.End = s.at
	p.Name = s.text[p.Start:s.at]
	if p.Name == "" {
		s.stop()
	}
	return p
}

// bare reports whether a key may hold the byte without quotes.
func bare(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '_' || b == '-'
}

// unquote reads a quoted key. Escapes in keys are rare enough to leave them to toml.
func unquote(quoted string) string {
	if quoted[0] == '"' && strings.Contains(quoted, `\`) {
		var read struct{ K string }
		if _, err := burntsushi.Decode("k="+quoted, &read); err == nil {
			return read.K
		}
	}
	return strings.Trim(quoted, quoted[:1])
}

func (s *scanner) value() Node {
	v := Node{Start: s.at}
	if s.depth++; s.depth > maxDepth {
		s.tooDeep()
	}
	switch {
	case s.accept("["):
		for s.blank(); !s.accept("]") && s.at < len(s.text); s.comma() {
			v.Items = append(v.Items, s.value())
		}
	case s.accept("{"):
		for s.blank(); !s.accept("}") && s.at < len(s.text); s.comma() {
			v.Keys = append(v.Keys, s.assignment())
		}
	case s.quoted():
	default:
		s.plain()
	}
	s.depth--
	v.End = v.Start + len(strings.TrimRight(s.text[v.Start:s.at], " \t\r"))
	return v
}

func (s *scanner) comma() {
	s.blank()
	s.accept(",")
	s.blank()
}

// plain passes a number, a date, true or false. A date may hold a blank, so only a character that can follow a value
// ends it.
func (s *scanner) plain() {
	end := strings.IndexAny(s.text[s.at:], ",]}#\n")
	if end <= 0 {
		s.stop()
		return
	}
	s.at += end
}

// quoted passes a string of any of the four kinds, and reports whether there was one.
func (s *scanner) quoted() bool {
	if s.at == len(s.text) || s.text[s.at] != '"' && s.text[s.at] != '\'' {
		return false
	}
	quote := s.text[s.at]
	closing := 1
	if s.quotes(quote) >= 3 {
		closing = 3
	}
	for s.at += closing; s.at < len(s.text); {
		run := s.quotes(quote)
		switch {
		case run > 0 && closing == 1:
			s.at++
			return true
		case run >= 3: // of more than three the first belong to the string
			s.at += run
			return true
		case run > 0:
			s.at += run
		case quote == '"' && s.text[s.at] == '\\':
			s.at += 2
		default:
			s.at++
		}
	}
	s.stop()
	return true
}

// quotes counts the quotes that stand here in a row.
func (s *scanner) quotes(quote byte) int {
	rest := s.text[s.at:]
	return len(rest) - len(strings.TrimLeft(rest, string(quote)))
}

// blank passes white space, ends of lines and comments.
func (s *scanner) blank() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		case '#':
			end := strings.IndexByte(s.text[s.at:], '\n')
			if end < 0 {
				s.stop()
				return
			}
			s.at += end
		default:
			return
		}
	}
}

func (s *scanner) space() {
	for s.at < len(s.text) && (s.text[s.at] == ' ' || s.text[s.at] == '\t') {
		s.at++
	}
}

func (s *scanner) accept(token string) bool {
	if !strings.HasPrefix(s.text[s.at:], token) {
		return false
	}
	s.at += len(token)
	return true
}

// stop ends the scan, where there is nothing that TOML allows.
func (s *scanner) stop() { s.at = len(s.text) }

// tooDeep ends the scan where the text goes too deep.
func (s *scanner) tooDeep() {
	s.deep = s.at
	s.stop()
}

// A keyAt is a key with its whole path, as MetaData.Keys of toml lists it.
type keyAt struct {
	path  burntsushi.Key
	begin int // of its first part where it stands
	at    int // of its last part
}

// flatten lists keys the way MetaData.Keys does: each heading and each assignment once, where it stands; the
// tables that a dotted key or a heading implies not at all; [[a]] at each element; the keys of an inline table
// after the key that holds it, and so for each table in an array, whose number is not part of the path.
func flatten(marks []Statement) []keyAt {
	all := make([]keyAt, 0, len(marks))
	var table burntsushi.Key
	for _, m := range marks {
		if m.Kind != Assignment {
			table = nil
		}
		all = m.appendTo(all, table)
		if m.Kind != Assignment {
			table = all[len(all)-1].path
		}
	}
	return all
}

// agree reports whether the scanner has found the keys that toml has read.
func agree(marks []Statement, keys []burntsushi.Key) bool {
	return slices.EqualFunc(
		flatten(marks),
		keys,
		func(f keyAt, k burntsushi.Key) bool { return slices.Equal(f.path, k) },
	)
}

func (m Statement) appendTo(all []keyAt, table burntsushi.Key) []keyAt {
	path := make(burntsushi.Key, len(table), len(table)+len(m.Parts))
	copy(path, table)
	for _, p := range m.Parts {
		path = append(path, p.Name)
	}
	all = append(all, keyAt{path, m.Parts[0].Start, m.Parts[len(m.Parts)-1].Start})
	return m.Value.appendTo(all, path)
}

func (s Node) appendTo(all []keyAt, path burntsushi.Key) []keyAt {
	for _, item := range s.Items {
		all = item.appendTo(all, path)
	}
	for _, m := range s.Keys {
		all = m.appendTo(all, path)
	}
	return all
}
