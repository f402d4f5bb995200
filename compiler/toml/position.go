package toml

import (
	"strings"
	"unicode/utf8"

	"farmc/compiler/diag"
)

// positions turns the offsets of a text into places. It goes on from the last one, so that offsets in rising order
// cost one walk over the text, however long its lines are.
type positions struct {
	file, text string

	offset     int // the last
	line       int // its number, from 0
	start, end int // of the line
	column     int // from 0
}

// at gives the place of an offset in bytes. An offset outside of the text counts as its nearest end.
func (p *positions) at(offset int) diag.Place {
	offset = max(0, min(offset, len(p.text)))
	if offset < p.offset || p.end == 0 {
		*p = positions{file: p.file, text: p.text, end: ending(p.text)}
	}
	for offset > p.end {
		p.line++
		p.start = p.end + 1
		p.offset, p.column = p.start, 0
		p.end = p.start + ending(p.text[p.start:])
	}
	p.column += utf8.RuneCountInString(p.text[p.offset:offset])
	p.offset = offset
	return diag.Place{
		File:   p.file,
		Line:   p.line + 1,
		Column: p.column + 1,
		Text:   strings.TrimSuffix(p.text[p.start:p.end], "\r"),
	}
}

// ending is the length of the text's first line.
func ending(text string) int {
	if end := strings.IndexByte(text, '\n'); end >= 0 {
		return end
	}
	return len(text)
}
