package edit

import (
	"cmp"
	"slices"
	"strings"

	"farmc/compiler/toml"
)

// Format lays out the TOML text of a farm as farms.d/reference.toml is laid out: keys and tables in its order, backends
// in their own order; one space around "=", no indentation, a blank line before each heading, comments at the end of
// a line in one column. Values keep their spelling. Comments move with the key that they stand above, beside or right
// below. The result has the document and the comments of the text; formatted once more, it stays as it is. Faults are
// faults of TOML. A blank text gives an empty one.
func Format(text []byte) ([]byte, []Fault) {
	document, faults := Read(text)
	if len(faults) > 0 {
		return nil, faults
	}
	return verified([]byte(newLayout(string(text)).String()), document)
}

// A layout is a text cut into statements with their comments.
type layout struct {
	order
	text     string
	header   [][]string // blocks of comments at the top of the file
	tight    bool       // no blank line after the header
	chapters []*chapter
	footer   [][]string // blocks of comments at the end of the file
}

// A chapter is a heading with the assignments below it. The first chapter has no heading.
type chapter struct {
	names []string // of the heading
	ranks []int    // of the names
	body  []*piece // the heading first
}

// A piece is a statement with its comments.
type piece struct {
	rank  int      // 0 for a heading
	blank bool     // a blank line before it and its comments
	above []string // comments; "" is a blank line
	text  string
	note  []string // the comment beside it, and the lines in which that goes on
	below []string // comments
}

func newLayout(text string) *layout {
	l := &layout{order: keyOrder(), text: text, chapters: []*chapter{{}}}
	var last *piece
	end := len(text) - len(strings.TrimLeft(text, byteOrderMark))
	for _, s := range toml.Statements(text) {
		next := l.add(s)
		l.share(l.gap(end, s.Start, last), last, next)
		last, end = next, s.End
	}
	l.share(l.gap(end, len(text), last), last, nil)
	l.sort()
	return l
}

// add adds a statement to the last chapter, or opens one.
func (l *layout) add(s toml.Statement) *piece {
	if s.Kind != toml.Assignment {
		l.chapters = append(l.chapters, &chapter{})
	}
	c := l.chapters[len(l.chapters)-1]
	p := &piece{}
	switch s.Kind {
	case toml.Heading:
		p.text = "[" + l.keyText(s.Parts) + "]"
	case toml.ListHeading:
		p.text = "[[" + l.keyText(s.Parts) + "]]"
	case toml.Assignment:
		p.text = l.assignmentText(s, "")
		p.rank = l.rank(c.names, s.Parts[0].Name)
	}
	if s.Kind != toml.Assignment {
		for _, part := range s.Parts {
			c.names = append(c.names, part.Name)
		}
	}
	c.body = append(c.body, p)
	return p
}

// sort puts chapters and assignments in the order of the format. What the format does not have comes last.
func (l *layout) sort() {
	known := map[string]int{}
	for _, c := range l.chapters {
		for i, name := range c.names {
			rank := l.rank(c.names[:i], name)
			if i == 1 && c.names[0] == backends {
				known[name] = cmp.Or(known[name], len(known)+1)
				rank = known[name]
			}
			c.ranks = append(c.ranks, rank)
		}
		slices.SortStableFunc(c.body, func(a, b *piece) int { return cmp.Compare(a.rank, b.rank) })
	}
	slices.SortStableFunc(l.chapters, func(a, b *chapter) int { return slices.Compare(a.ranks, b.ranks) })
}

// noteColumn is where farms.d/reference.toml has the comments at the end of lines, in characters.
const noteColumn = 38

// String writes the text.
func (l *layout) String() string {
	var out []string
	for _, block := range l.header {
		out = append(append(out, block...), "")
	}
	if l.tight {
		out = out[:len(out)-1]
	}
	for _, c := range l.chapters {
		for i, p := range c.body {
			isHeading := i == 0 && len(c.names) > 0
			if len(out) > 0 && out[len(out)-1] != "" && (isHeading || p.blank && !c.opensWith(i)) {
				out = append(out, "")
			}
			out = p.appendTo(out)
		}
	}
	for _, block := range l.footer {
		if len(out) > 0 && out[len(out)-1] != "" {
			out = append(out, "")
		}
		out = append(out, block...)
	}
	return strings.Join(append(slices.Clip(trimBlank(out)), ""), "\n")
}

// opensWith reports whether a piece stands right below the heading.
func (c *chapter) opensWith(i int) bool {
	return i == 1 && len(c.names) > 0 && len(c.body[0].below) == 0
}

func trimBlank(lines []string) []string {
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}
