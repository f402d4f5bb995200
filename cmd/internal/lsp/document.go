package lsp

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A document is a text that the editor has open. It does not change: an edit makes another document.
type document struct {
	uri     string
	path    string // of its file; "": it has none
	version int
	text    string
}

// pathOf gives the path of a URI of the scheme file; "" for other ones.
func pathOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "file" || u.Host != "" && u.Host != "localhost" || !filepath.IsAbs(u.Path) {
		return ""
	}
	return filepath.Clean(u.Path)
}

// uriOf gives the URI of a file.
func uriOf(path string) string { return (&url.URL{Scheme: "file", Path: path}).String() }

// errOutside is the fault of a change outside of its document.
var errOutside = errors.New("a change ends before it begins")

// changed gives the document after changes, which are made one after the other.
func (d *document) changed(version int, changes []change) (*document, error) {
	out := &document{d.uri, d.path, version, d.text}
	for _, c := range changes {
		if c.Range == nil {
			out.text = c.Text
			continue
		}
		start, end := offsetOf(out.text, c.Range.Start), offsetOf(out.text, c.Range.End)
		if end < start {
			return nil, fmt.Errorf("%s: %w", d.uri, errOutside)
		}
		out.text = out.text[:start] + c.Text + out.text[end:]
	}
	return out, nil
}

// offsetOf gives the offset of a position in bytes. A position behind a line counts as the end of the line, one behind
// the text as the end of the text, as the protocol says.
func offsetOf(text string, p position) int {
	at := 0
	for range p.Line {
		next := endOfLine(text, at)
		if next == len(text) {
			return len(text)
		}
		at = next + lengthOfEnd(text, next)
	}
	for units := 0; at < len(text) && text[at] != '\n' && text[at] != '\r'; {
		r, size := utf8.DecodeRuneInString(text[at:])
		if units += unitsOf(r); units > p.Character {
			break
		}
		at += size
	}
	return at
}

// positionOf gives the position of an offset in bytes.
func positionOf(text string, offset int) position {
	offset = min(max(offset, 0), len(text))
	var p position
	at := 0
	for next := endOfLine(text, at); next < offset; next = endOfLine(text, at) {
		end := next + lengthOfEnd(text, next)
		if end > offset {
			break // between CR and LF
		}
		at, p.Line = end, p.Line+1
	}
	p.Character = units(text[at:offset])
	return p
}

// endOfLine gives the offset of the next end of a line: LF, CR LF or CR.
func endOfLine(text string, at int) int {
	if i := strings.IndexAny(text[at:], "\r\n"); i >= 0 {
		return at + i
	}
	return len(text)
}

func lengthOfEnd(text string, at int) int {
	if strings.HasPrefix(text[at:], "\r\n") {
		return 2
	}
	return 1
}

// units counts the UTF-16 code units of a text.
func units(text string) (n int) {
	for _, r := range text {
		n += unitsOf(r)
	}
	return n
}

// unitsOf counts the UTF-16 code units of a character. An invalid byte is one.
func unitsOf(r rune) int { return max(1, utf16.RuneLen(r)) }

// rangeOf gives the range between two offsets.
func (d *document) rangeOf(start, end int) textRange {
	return textRange{positionOf(d.text, start), positionOf(d.text, end)}
}
