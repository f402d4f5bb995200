package lsp

import (
	"testing"

	"farmc/compiler/diag"
)

// TestRanges: the range of a place is its word, value or heading, in UTF-16 code units.
func TestRanges(t *testing.T) {
	text := "\ufeffmode = \"😀 b\" # x\n  nonsense\nhash-on = [\n\"a\",\n]\n[limits]\r\nnew = {rate = \"1/s\"}\n"
	for _, test := range []struct {
		rule         string
		line, column int
		want         textRange
	}{
		{"the whole file", 0, 0, span2(0, 0, 0, 18)},
		{"a key behind a byte order mark", 1, 1, span2(0, 1, 0, 5)},
		{"a value with an emoji", 1, 8, span2(0, 8, 0, 14)},
		{"the end of a line", 2, 11, span2(1, 2, 1, 10)},
		{"a list of several lines", 3, 11, span2(2, 10, 2, 11)},
		{"an item", 4, 1, span2(3, 0, 3, 3)},
		{"a heading", 6, 1, span2(5, 0, 5, 8)},
		{"a name in a heading", 6, 2, span2(5, 1, 5, 7)},
		{"a value in braces", 7, 15, span2(6, 14, 6, 19)},
		{"behind the line", 7, 99, span2(6, 0, 6, 20)},
		{"behind the text", 99, 1, span2(0, 0, 0, 5)},
	} {
		e := newEnds(&document{text: text})
		if got := e.rangeOf(diag.Place{Line: test.line, Column: test.column}); got != test.want {
			t.Errorf("%s: %v, want %v", test.rule, got, test.want)
		}
	}
	at := diag.Place{Line: 3, Column: 3, Text: "a😀b"}
	if got := placeRange(at); got != span2(2, 3, 2, 4) {
		t.Errorf("a place in another file: %v", got)
	}
}
