package edit

import (
	"strings"
	"unicode/utf8"
)

// A gap is the text between two statements, without the comment beside the first one.
type gap struct {
	blocks                 [][]string // comments; blank lines part them
	tightAbove, tightBelow bool       // no blank line between the statement and the comments
	blank                  bool       // there is a blank line
}

// gap reads the text between two offsets. The comment beside the statement above goes to that statement.
func (l *layout) gap(start, end int, above *piece) gap {
	rest := strings.Split(l.text[start:end], "\n")
	if above != nil {
		rest = above.takeNote(rest, lines(l.text).width(lines(l.text).start(start)))
	}
	var g gap
	if end < len(l.text) {
		rest = rest[:len(rest)-1] // the indentation of the statement below
	}
	for i, line := range rest {
		line = strings.TrimRight(line, " \t\r")
		if line == "" {
			g.blank, g.tightBelow = true, false
			continue
		}
		g.tightAbove = g.tightAbove || i == 0
		if !g.tightBelow {
			g.blocks = append(g.blocks, nil)
		}
		last := &g.blocks[len(g.blocks)-1]
		*last, g.tightBelow = append(*last, line), true
	}
	g.tightBelow = g.tightBelow && end < len(l.text)
	for _, block := range g.blocks {
		unindent(block)
	}
	return g
}

// unindent moves lines to the left as far as the first of them goes.
func unindent(block []string) {
	first := len(block[0]) - len(strings.TrimLeft(block[0], " \t"))
	for i, line := range block {
		block[i] = line[min(first, len(line)-len(strings.TrimLeft(line, " \t"))):]
	}
}

// takeNote takes the comment beside the statement, which goes on in lines that are indented deeper than the statement.
// It returns the lines after the statement.
func (p *piece) takeNote(rest []string, indent int) []string {
	beside := strings.TrimSpace(rest[0])
	rest = rest[1:]
	if beside == "" {
		return rest
	}
	p.note = []string{beside}
	for len(rest) > 0 {
		text := strings.TrimLeft(rest[0], " \t")
		if !strings.HasPrefix(text, "#") || len(rest[0])-len(text) <= indent {
			break
		}
		p.note = append(p.note, strings.TrimSpace(text))
		rest = rest[1:]
	}
	return rest
}

// share gives the comments of a gap to the statements around it, or to the header or the footer of the file.
func (l *layout) share(g gap, above, below *piece) {
	blocks := g.blocks
	switch {
	case below == nil && above == nil:
		l.header = blocks
		return
	case above == nil:
		l.header, blocks = g.header()
		l.tight = g.tightBelow && len(blocks) == 0
	case g.tightAbove && (len(blocks) > 1 || !g.tightBelow):
		above.below, blocks = blocks[0], blocks[1:]
	}
	if below == nil {
		l.footer = blocks
		return
	}
	below.blank = above != nil && g.blank && !(g.tightAbove && len(blocks) == len(g.blocks))
	for i, block := range blocks {
		below.above = append(below.above, block...)
		if i < len(blocks)-1 || !g.tightBelow {
			below.above = append(below.above, "")
		}
	}
}

// header splits the comments before the first statement into the header of the file and the comment of the statement.
func (g gap) header() (header, above [][]string) {
	n := len(g.blocks)
	if g.tightBelow && g.blocks[n-1][0] != WrittenBy {
		n--
	}
	return g.blocks[:n], g.blocks[n:]
}

// appendTo adds the lines of the piece to a text.
func (p *piece) appendTo(out []string) []string {
	out = append(out, p.above...)
	if len(p.note) == 0 {
		return append(append(out, p.text), p.below...)
	}
	lastLine := p.text[strings.LastIndexByte(p.text, '\n')+1:]
	space := max(noteColumn-utf8.RuneCountInString(lastLine), 2)
	out = append(out, p.text+strings.Repeat(" ", space)+p.note[0])
	for _, line := range p.note[1:] {
		out = append(out, strings.Repeat(" ", noteColumn)+line)
	}
	return append(out, p.below...)
}
