package lsp

import (
	"strings"
	"unicode/utf8"

	"farmc/compiler/diag"
)

// An ends knows where the words of a text end. A place of the compiler has a beginning alone.
type ends struct {
	text  string
	lines []int       // offsets of the beginnings of lines, as the compiler counts them
	ends  map[int]int // the end of each key, heading and value, by its beginning
}

func newEnds(d *document) *ends {
	text := d.text
	e := &ends{text: text, lines: []int{0}, ends: map[int]int{}}
	for i := range len(text) {
		if text[i] == '\n' {
			e.lines = append(e.lines, i+1)
		}
	}
	if d.isList() {
		return e
	}
	spans, _ := scan(text)
	for _, s := range spans {
		e.ends[s.start] = max(e.ends[s.start], s.end)
	}
	return e
}

// byteOrderMark is at the beginning of some texts; the compiler does not count it.
const byteOrderMark = "\ufeff"

// rangeOf gives the range of the word at a place; the first line for the whole file.
func (e *ends) rangeOf(p diag.Place) textRange {
	start := e.offsetOf(p)
	end := e.ends[start]
	switch {
	case p.Line == 0:
		end = endOfLine(e.text, 0)
	case end <= start:
		end = endOfWord(e.text, start)
	}
	if end == start { // at the end of a line: all of it
		start = startOfLine(e.text, start)
	}
	if line := endOfLine(e.text, start); end > line { // a value of several lines: its first one
		end = line
	}
	return textRange{positionOf(e.text, start), positionOf(e.text, end)}
}

// offsetOf gives the offset of a place.
func (e *ends) offsetOf(p diag.Place) int {
	if p.Line < 1 || p.Line > len(e.lines) {
		return 0
	}
	at := e.lines[p.Line-1]
	if at == 0 && strings.HasPrefix(e.text, byteOrderMark) {
		at = len(byteOrderMark)
	}
	for range p.Column - 1 {
		_, size := utf8.DecodeRuneInString(e.text[at:])
		if size == 0 || e.text[at] == '\n' {
			break
		}
		at += size
	}
	return at
}

// startOfLine gives the first word of the line of an offset.
func startOfLine(text string, at int) int {
	start := strings.LastIndexAny(text[:at], "\r\n") + 1
	return start + len(text[start:at]) - len(strings.TrimLeft(text[start:at], " \t"))
}

// endOfWord gives the end of the word at an offset: one character at least, but no end of a line.
func endOfWord(text string, start int) int {
	if start >= len(text) || strings.ContainsRune("\r\n", rune(text[start])) {
		return start
	}
	if i := strings.IndexAny(text[start:], " \t\r\n"); i > 0 {
		return start + i
	} else if i == 0 {
		return start + 1
	}
	return len(text)
}

// placeRange gives the range of a place in a file that is not open: one character.
func placeRange(p diag.Place) textRange {
	line, before := max(p.Line-1, 0), 0
	for _, r := range p.Text {
		if p.Column--; p.Column < 1 {
			break
		}
		before += unitsOf(r)
	}
	return textRange{position{line, before}, position{line, before + 1}}
}
