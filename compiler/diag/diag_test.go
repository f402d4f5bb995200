package diag

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestPrint(t *testing.T) {
	long := strings.Repeat("0123456789", 30)
	for _, test := range []struct {
		rule string
		d    Diagnostic
		want string
	}{
		{"place-message-line-mark-hint",
			Diagnostic{Place: Place{"web.toml", 3, 5, "port = 0"}, Message: "port is 0, at least 1", Hint: "port = 1"},
			"web.toml:3:5: error: port is 0, at least 1\n    3 | port = 0\n      |     ^\n  hint: port = 1\n"},
		{"warning", Diagnostic{Severity: Warning, Place: Place{File: "web.toml"}, Message: "so"},
			"web.toml: warning: so\n"},
		{"remark", Diagnostic{Severity: Remark, Message: "so"}, "note: so\n"},
		{"whole-file", Diagnostic{Place: Place{File: "web.toml"}, Message: "so"}, "web.toml: error: so\n"},
		{"no-place", Diagnostic{Message: "so"}, "error: so\n"},
		{"other-places",
			Diagnostic{Place: Place{"b.toml", 1, 1, "b"}, Message: "so",
				Also: []Note{{Place{"a.toml", 12345, 2, "aa"}, "here"}, {Place{File: "c.toml"}, "there"}}, Hint: "h"},
			"b.toml:1:1: error: so\n    1 | b\n      | ^\n  a.toml:12345:2: here\n12345 | aa\n      |  ^\n  c.toml: " +
				"there\n  hint: h\n"},
		{"tabs-are-a-column", Diagnostic{Place: Place{"a", 1, 3, "\t\tb"}, Message: "so"},
			"a:1:3: error: so\n    1 |   b\n      |   ^\n"},
		{"columns-are-characters", Diagnostic{Place: Place{"a", 1, 4, "é😀ß!"}, Message: "so"},
			"a:1:4: error: so\n    1 | é😀ß!\n      |    ^\n"},
		{"end-of-the-line", Diagnostic{Place: Place{"a", 1, 3, "ab"}, Message: "so"},
			"a:1:3: error: so\n    1 | ab\n      |   ^\n"},
		{"beyond-the-line", Diagnostic{Place: Place{"a", 1, 99, "ab"}, Message: "so"},
			"a:1:99: error: so\n    1 | ab\n      |   ^\n"},
		{"empty-line", Diagnostic{Place: Place{"a", 1, 1, ""}, Message: "so"},
			"a:1:1: error: so\n    1 | \n      | ^\n"},
		{"line-of-millions", Diagnostic{Place: Place{"a", 1234567, 1, "b"}, Message: "so"},
			"a:1234567:1: error: so\n1234567 | b\n        | ^\n"},
		{"long-line-from-its-beginning", Diagnostic{Place: Place{"a", 1, 8, long}, Message: "so"},
			"a:1:8: error: so\n    1 | " + long[:120] + "...\n      |        ^\n"},
		{"control-characters-are-shown", Diagnostic{Place: Place{"a\x1b[2J", 1, 1,
			"\x1b]0;owned\x07\u009b\u202e\u2066\u2028\u200b\u200e\u00adb"}, Message: "is \x1b[31m\r\nred",
			Hint: "\x00", Also: []Note{{Place{File: "\b"}, "\x7f"}}},
			"a�[2J:1:1: error: is �[31m��red\n    1 | �]0;owned��������b\n      | ^\n  �: �\n  hint: �\n"},
		{"not-utf-8", Diagnostic{Place: Place{"a", 1, 2, "a\xffb"}, Message: "b\xff"},
			"a:1:2: error: b�\n    1 | a�b\n      |  ^\n"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			if got := printed(Diagnostics{test.d}); got != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, test.want)
			}
		})
	}
}

// TestPrintLongLines: for any line and column, the caret is under the character that stands there, and the excerpt is
// about as wide as a terminal.
func TestPrintLongLines(t *testing.T) {
	text := make([]rune, 400)
	for i := range text {
		text[i] = rune('Ā' + i) // each another one
	}
	for length := 1; length <= len(text); length += 13 {
		for column := 1; column <= length; column++ {
			lines := strings.Split(printed(Diagnostics{{Place: Place{"a", 1, column, string(text[:length])}}}), "\n")
			shown, mark := []rune(lines[1]), []rune(lines[2])
			if len(mark) > len(shown) || shown[len(mark)-1] != text[column-1] {
				t.Fatalf("column %d of %d:\n%s\n%s", column, length, lines[1], lines[2])
			}
			if len(shown) > 8+maxExcerpt+3 {
				t.Fatalf("column %d of %d: an excerpt of %d characters", column, length, len(shown))
			}
		}
	}
}

func TestPrintInColour(t *testing.T) {
	var out bytes.Buffer
	Diagnostics{
		{Place: Place{"a", 1, 1, "b"}, Message: "so", Hint: "h"},
		{Severity: Warning, Message: "so"},
	}.Print(
		&out,
		Palette{"<fault>", "<warning>", "<added>", "<hint>", "<bold>", "<reset>"},
	)
	want := "<bold>a:1:1: <reset><fault>error:<reset> so\n    1 | b\n      | <fault>^<reset>\n  <hint>hint:<reset> " +
		"h\n<bold><reset><warning>warning:<reset> so\n"
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", &out, want)
	}
}

func TestSort(t *testing.T) {
	at := func(file string, line, column int, message string) Diagnostic {
		return Diagnostic{Place: Place{File: file, Line: line, Column: column}, Message: message}
	}
	got := Diagnostics{
		at(
			"b",
			1,
			1,
			"y",
		), at("a", 10, 1, "x"), at("a", 9, 1, "x"), at("a", 9, 10, "x"), at("a", 9, 9, "x"), at("b", 1, 1, "x"),
		at("a", 0, 0, "x"), at("b", 1, 1, "y"), at("b", 1, 1, "y"),
	}
	got.Sort()
	want := Diagnostics{
		at(
			"a",
			0,
			0,
			"x",
		), at("a", 9, 1, "x"), at("a", 9, 9, "x"), at("a", 9, 10, "x"), at("a", 10, 1, "x"), at("b", 1, 1, "x"),
		at("b", 1, 1, "y"),
	}
	if !slices.EqualFunc(
		got,
		want,
		func(a, b Diagnostic) bool { return a.Place == b.Place && a.Message == b.Message },
	) {
		t.Errorf("got:\n%swant:\n%s", printed(got), printed(want))
	}
}

func TestFaulty(t *testing.T) {
	for _, test := range []struct {
		told Diagnostics
		want bool
	}{
		{nil, false},
		{Diagnostics{{Severity: Warning}}, false},
		{Diagnostics{{Severity: Warning}, {Severity: Fault}}, true},
	} {
		if got := test.told.Faulty(); got != test.want {
			t.Errorf("%v: got %t", test.told, got)
		}
	}
}
