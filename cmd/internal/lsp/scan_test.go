package lsp

import (
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// TestSituation: what breaks off at the end of a text, whatever stands before.
func TestSituation(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", "key in  from 0"},
		{"li", "key in  from 0"},
		{"# li", "nothing"},
		{"mode = \"x\"\n  li", "key in  from 13"},
		{"mode", "key in  from 0"},
		{"mode ", "nothing"},
		{"mode =", "value of mode from 6"},
		{"mode = ", "value of mode from 7"},
		{"mode = d", "value of mode from 7"},
		{"mode = \"d", "value of mode from 8 in \""},
		{"mode = 'd", "value of mode from 8 in '"},
		{"mode = \"dnat\"", "nothing"},
		{"mode = \"dnat\" ", "nothing"},
		{"mode = \"dnat\" # x", "nothing"},
		{"mode = \"a\\\"b", "value of mode from 8 in \""},
		{"[", "heading in  from 1"},
		{"[li", "heading in  from 1"},
		{"[backends.", "heading in backends from 10"},
		{"[backends.\"b 1\".he", "heading in backends/b 1 from 16"},
		{"[limits]", "nothing"},
		{"[limits]\n", "key in limits from 9"},
		{"[limits]\nne", "key in limits from 9"},
		{"[limits]\nnew = { ra", "key in limits/new from 17 inline"},
		{"[limits]\nnew = { rate = \"1", "value of limits/new/rate from 25 in \""},
		{"[limits]\nnew = { rate = \"1/s\", b", "key in limits/new from 31 inline"},
		{"limits.ne", "key in limits from 7 inline"},
		{"limits.new.rate = ", "value of limits/new/rate from 18"},
		{"hash-on = [", "value of hash-on from 11"},
		{"hash-on = [\"a\", \"", "value of hash-on from 17 in \""},
		{"hash-on = [\n\"a\",\n  # x\n  \"b", "value of hash-on from 26 in \""},
		{"hash-on = [\"a\"\nmo", "value of hash-on from 15"},
		{"hash-on = [\"a\"\nmode = \"", "value of mode from 23 in \""},
		{"hash-on = [\"a\"\n[limits]\nne", "key in limits from 24"},
		{"nonsense here\n[limits]\nne", "key in limits from 23"},
		{"a = \"not closed\nmode = \"", "value of mode from 24 in \""},
		{"a = \"\"\"\nmode = \"\nx\"\"\"\nm", "key in  from 22"},
		{"a = \"\"\"\nmode = \"\nx", "value of a from 7 in \"\"\""},
		{"= 1\nm", "key in  from 4"},
		{"]\nm", "key in  from 2"},
		{"\ufeffmo", "key in  from 3"},
		{"a = { b = 1\nc", "key in  from 12"},
		{"a = 1\r\nb = ", "value of b from 11"},
	} {
		if _, open := scan(test.text); open.String() != test.want {
			t.Errorf("%q: %s, want %s", test.text, open, test.want)
		}
	}
}

// String writes a situation for tests.
func (s situation) String() string {
	path := strings.Join(s.path, "/")
	switch s.kind {
	case keyPart:
		return fmt.Sprintf("key in %s from %d", path, s.start) + map[bool]string{true: " inline"}[s.inline]
	case headingPart:
		return fmt.Sprintf("heading in %s from %d", path, s.start)
	case valuePart:
		out := fmt.Sprintf("value of %s from %d", path, s.start)
		if s.quote != "" {
			out += " in " + s.quote
		}
		return out
	}
	return "nothing"
}

// TestScanLikeTOML: of each farm among the goldens, the outline has the keys and values of package toml.
func TestScanLikeTOML(t *testing.T) {
	farms, _ := filepath.Glob("../../../golden/*/*/*.toml")
	seen := 0
	for _, path := range append(farms, "../../../farms.d/reference.toml") {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // a directory
		}
		var faults diag.Diagnostics
		if toml.Parse(path, text, &faults); faults.Faulty() {
			continue
		}
		var table []string
		spans, _ := scan(string(text))
		values := map[int]span{}
		for _, s := range spans {
			if s.kind == valuePart {
				values[s.start] = s
			}
		}
		for _, s := range toml.Statements(string(text)) {
			var names []string
			for _, p := range s.Parts {
				names = append(names, p.Name)
			}
			if s.Kind != toml.Assignment {
				table = names
				continue
			}
			if strings.Contains(string(text), "\\u") {
				continue // a name with escapes
			}
			want := strings.Join(append(table[:len(table):len(table)], names...), "/")
			got := values[s.Value.Start]
			if strings.Join(got.path, "/") != want || got.end != s.Value.End {
				t.Errorf("%s: %s ends at %d, want %s at %d", path, got.path, got.end, want, s.Value.End)
			}
			seen++
		}
	}
	if seen < 2500 {
		t.Errorf("only %d values", seen)
	}
}

// FuzzScan: no text makes scan fail, or go on without an end, and parts stand in the text.
func FuzzScan(f *testing.F) {
	f.Add(web)
	f.Add("a = [[[[{{{[\n\"\"\"[x]\ny.z='{")
	f.Fuzz(checkOutline)
}

// TestRandomTexts: the same for texts of the characters that TOML is made of.
func TestRandomTexts(t *testing.T) {
	alphabet := []rune("a=[]{}\"'.,# \n\r\t\\1é😀")
	random := rand.New(rand.NewSource(1))
	for range 20_000 {
		text := make([]rune, random.Intn(60))
		for i := range text {
			text[i] = alphabet[random.Intn(len(alphabet))]
		}
		checkOutline(t, string(text))
	}
}

func checkOutline(t *testing.T, text string) {
	spans, open := scan(text)
	for _, s := range spans {
		if s.start < 0 || s.end < s.start || s.end > len(text) {
			t.Fatalf("%+v of %d bytes: %q", s, len(text), text)
		}
	}
	if open.start > len(text) {
		t.Fatalf("%+v of %d bytes: %q", open, len(text), text)
	}
	if at := newCompletion(&document{text: text}, len(text)); at.at.kind == valuePart {
		at.values()
	}
	for offset := range text { // of characters
		if !utf8.ValidString(text) || offset > 40 {
			break // JSON has no such text
		}
		if at := offsetOf(text, positionOf(text, offset)); at > offset {
			t.Fatalf("the offset %d became %d in %q", offset, at, text)
		}
	}
}
