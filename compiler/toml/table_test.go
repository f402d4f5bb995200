package toml

import (
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"farmc/compiler/diag"
	burntsushi "github.com/BurntSushi/toml"
)

func TestParseTablePlaces(t *testing.T) {
	for _, test := range []struct {
		rule string
		text string
		path string // the tables down to the key, with blanks
		want string // the places of the key, of the value and of its items
	}{
		{"first", "a = 1", "a", "1:1 1:5"},
		{"later-line", "# a\n\na = 1\nb = 2\n", "b", "4:1 4:5"},
		{"crlf", "a = 1\r\nb = 2\r\n", "b", "2:1 2:5"},
		{"byte-order-mark", "\ufeffa = 1\nb = 2", "a", "1:1 1:5"},
		{"byte-order-mark-twice", "\ufeff\ufeffa = 1", "a", "1:1 1:5"},
		{"tab-is-one-column", "\ta\t=\t1", "a", "1:2 1:6"},
		{"columns-are-characters", "'é' = { 'ü😀' = 'ß', b = 1 }", "é b", "1:21 1:25"},
		{"dotted", "a . b.c = 1", "a b c", "1:7 1:11"},
		{"table-of-a-dotted-key", "a . b.c = 1", "a b", "1:5 1:5"},
		{"heading", "[a.b]\nc = 1", "a b", "1:4 1:4"},
		{"implied-heading", "[a.b]\nc = 1", "a", "1:2 1:2"},
		{"heading-after-implied", "[a.b]\nc = 1\n[a]", "a", "3:2 3:2"},
		{"below-a-heading", "[a.b]\nc = 1", "a b c", "2:1 2:5"},
		{"inline-table", "a = { b = 1 }", "a", "1:1 1:5"},
		{"in-inline-table", "a = { b = 1 }", "a b", "1:7 1:11"},
		{"inline-table-of-many-lines", "a = {\n  b = { c = 1 },\n}", "a b c", "2:9 2:13"},
		{"items", "a = [1,\n  'b', [true]]", "a", "1:1 1:5 1:6 2:3 2:8 2:9"},
		{"list-of-tables", "[[a]]\nb = 1\n[[a]]\nb = 2", "a", "1:3 1:3 1:3 3:3"},
		{"replacement-character", "'\ufffd' = 1\nb = 2", "b", "2:1 2:5"},
		{"after-a-long-string", "a = \"\"\"\n b = 1\n\"\"\"\nb = 2", "b", "4:1 4:5"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			v := walk(parsed(t, test.text), test.path)
			got := short(v.key) + " " + places(v)
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestParseTableShowsTheLine(t *testing.T) {
	for _, test := range []struct {
		rule string
		text string
		want string
	}{
		{"without-its-end", "# é\nb = 1\nc = 2", "b = 1"},
		{"crlf", "# é\r\nb = 1\r\n", "b = 1"},
		{"tabs", "\tb\t= 1", "\tb\t= 1"},
		{"byte-order-mark", "\ufeffb = 1", "b = 1"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			if got := parsed(t, test.text).At("b").Text; got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestParseTableKeepsTheOrder(t *testing.T) {
	top := parsed(t, "z = 1\n[y.b]\n[x]\n[y.a]\n[w]\nb = 1\na.b = 2\n'' = 3\na.a = 4")
	for path, want := range map[string]string{"": "z y x w", "y": "b a", "w": "b a ", "w a": "b a"} {
		at := top
		if path != "" {
			at = walk(top, path).Data.(*Table)
		}
		if got := keys(at); got != want {
			t.Errorf("%q: got %s, want %s", path, got, want)
		}
	}
}

func TestParseTableFaults(t *testing.T) {
	for _, test := range []struct {
		rule string
		text string
		want string
	}{
		{"empty", "", "0:0 the file is empty (an editor may have been stopped in the middle; to mask a farm, link " +
			"its name to /dev/null)"},
		{"blank", " \r\n\t\n", "0:0 the file is empty (an editor may have been stopped in the middle; to mask a " +
			"farm, link its name to /dev/null)"},
		{"byte-order-mark-alone", "\ufeff\n", "0:0 the file is empty (an editor may have been stopped in the " +
			"middle; to mask a farm, link its name to /dev/null)"},
		{"not-utf-8", "a = 1\n# é\xff", "2:4 byte 0xff is not UTF-8 (save the file as UTF-8)"},
		{"cut-within-a-character", "a = '\xc3", "1:6 byte 0xc3 is not UTF-8 (save the file as UTF-8)"},
		{"latin-1", "# stra\xdfe\n", "1:7 byte 0xdf is not UTF-8 (save the file as UTF-8)"},
		{"utf-16", "\xff\xfea\x00", "1:1 byte 0xff is not UTF-8 (save the file as UTF-8)"},
		{"utf-16-without-mark", "a\x00=\x001\x00",
			"1:2 byte 0x00 in a text (the file may be UTF-16, to be saved as UTF-8, or damaged by a crash)"},
		{"zeros", "a = 1\n\x00\x00\x00", "2:1 byte 0x00 in a text (the file may be UTF-16, to be saved as UTF-8, or " +
			"damaged by a crash)"},
		{"control-character", "a = 'é\x1b[1m'", `1:7 control character 0x1b (a string may hold it as "\u001b")`},
		{"delete", "# \x7f", `1:3 control character 0x7f (a string may hold it as "\u007f")`},
		{"old-mac", "a = 1\rb = 2\r", "1:6 carriage return without line feed (a line ends with a line feed, or with " +
			"both)"},
		{"too-deep", "a = " + strings.Repeat("[", 99), "1:69 more than 64 levels deep"},
		{"no-value", "a =\nb = 1", "1:4 expected value but found the end of the line instead (" + inQuotes + ")"},
		{"no-value-at-the-end", "é = 1", "1:1 expected '.' or '=', but got 'é' instead (a line is a key, \"=\" and " +
			"a value, or the name of a table in brackets)"},
		{"start-of-line", "a = 1\n= 2", "2:1 unexpected '=': key name appears blank"},
		{"unquoted", "a = 1\nmode = snat", `2:8 expected value but found "snat" instead (` + inQuotes + ")"},
		{"after-many-bytes", `'äöü' = snat`, `1:9 expected value but found "snat" instead (` + inQuotes + ")"},
		{"after-a-tab", "\ta\t=\tsnat", `1:6 expected value but found "snat" instead (` + inQuotes + ")"},
		{"after-a-mark", "\ufeffa = snat", `1:5 expected value but found "snat" instead (` + inQuotes + ")"},
		{"after-crlf", "a = 1\r\nb = snat\r\n", `2:5 expected value but found "snat" instead (` + inQuotes + ")"},
		{"unquoted-time", "timeout = 5m", "1:12 expected the line to end here, but got 'm' instead (" + inQuotes + ")"},
		{"unquoted-address", "address = 10.0.0.11", `1:11 invalid float value: "10.0.0.11" (` + inQuotes + ")"},
		{"open-string", "a = 'b\nc = 1", "1:7 strings cannot contain newlines (the closing quote is missing)"},
		{"open-string-at-the-end", "a = 'bé", "1:7 unexpected end of the file; expected \"'\""},
		{"bad-escape", `a = "C:\q"`,
			`1:6 invalid escape in string '\q' (a backslash is written twice, or the string in single quotes)`},
		{"full-stop", `a = "\ud800"`, `1:6 escaped character '\ud800' is not valid UTF-8`},
		{"twice", "a = 1\nb = 1\na = 2", "3:1 key 'a' has already been defined, see 1:1: it is here already"},
		{"twice-quoted", "'a b' = 1\n\"a b\" = 2",
			`2:2 key '"a b"' has already been defined, see 1:1: it is here already`},
		{"table-twice", "[a]\n[b]\n[ a ]", "3:3 key 'a' has already been defined, see 1:2: it is here already"},
		{"twice-in-an-inline-table", "a = { b = 1, b = 2 }",
			"1:14 key 'a.b' has already been defined, see 1:7: it is here already"},
		{"twice-in-the-second-element", "[[a]]\nb = 1\n[[a]]\nb = 2\nb = 3",
			"5:1 key 'a.b' has already been defined, see 4:1: it is here already"},
		{"table-and-list", "[a]\n[[a]]", "2:3 key 'a' was already created and cannot be used as an array, see 1:2: " +
			"it is here already"},
		// this and the next: toml would lose one of them
		{"value-where-a-table-is", "a.b = 1\na = 2",
			"2:1 key 'a' has already been defined, see 1:1: it is here already"},
		{"value-where-a-heading-is", "[x.a.b]\n[x]\na = 5",
			"3:1 key 'x.a' has already been defined, see 1:4: it is here already"},
		{"heading-where-a-value-is", "[[t]]\na.b = 1\n[[t]]\na = 1\n[t.a]",
			"5:4 key 't.a' has already been defined, see 4:1: it is here already"},
		{"heading-where-a-list-is", "[[t]]\na.b = 1\n[[t]]\na = [{}]\n[t.a]",
			"5:2 key 't.a' has already been defined, see 4:1: it is here already"},
		{"list-after-a-value", "[[t]]\na.b = 1\n[[t]]\na = 1\na = [2]",
			"5:1 key 't.a' has already been defined, see 4:1: it is here already"},
		{"lost-by-toml", "[[a]]\nb = []\n[[a]]\n[a.b.c]\nd = 1\n[a.b]",
			"4:6 key 'a.b.c' gets lost (a table stands before those in it, as [a.b] before [a.b.c])\n" +
				"5:1 key 'a.b.c.d' gets lost (a table stands before those in it, as [a.b] before [a.b.c])"},
		{"list-lost-by-toml", "[[a]]\nb = []\n[[a]]\n[[a.b.c]]\n[a.b]",
			"4:7 key 'a.b.c' gets lost (a table stands before those in it, as [a.b] before [a.b.c])"},
		{"added-to-an-inline-table", "a = { b = 1 }\n[a.c]",
			"2:2 key 'a' has already been defined, see 1:1: it is here already"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			var faults diag.Diagnostics
			top := Parse("web.toml", []byte(test.text), &faults)
			if got := list(faults); top != nil || got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestMerge(t *testing.T) {
	for _, test := range []struct {
		rule string
		base string
		over string
		path string
		want string // the value, its place and, of a table, its keys
	}{
		{"absent-stays", "a = 1", "b = 2", "a", "1 web.toml:1:5"},
		{"new-is-appended", "b = 1\na = 2", "c = 3\na = 4", "", "b a c"},
		{"value-replaces", "a = 1", "#\na = 2", "a", "2 over.toml:2:5"},
		{"value-replaces-its-type", "a = 1", "a = 'b'", "a", "b over.toml:1:5"},
		{"list-replaces", "a = [1, 2]", "a = [3]", "a", "[3] over.toml:1:5"},
		{"tables-merge", "[a]\nb = 1\nc = 2", "[a]\nc = 3\nd = 4", "a", "{b c d} web.toml:1:2"},
		{"table-keeps-its-place", "[a]\nb = 1", "\n[a]\nc = 2", "a", "{b c} web.toml:1:2"},
		{"in-a-table", "[a]\nb = 1\nc = 2", "[a]\nc = 3", "a c", "3 over.toml:2:5"},
		{"not-in-a-table", "[a]\nb = 1\nc = 2", "[a]\nc = 3", "a b", "1 web.toml:2:5"},
		{"deep", "[a.b.c]\nd = 1", "a.b.c.e = 2", "a b c", "{d e} web.toml:1:6"},
		{"inline-and-heading", "a = { b = 1 }", "[a]\nc = 2", "a", "{b c} web.toml:1:5"},
		{"new-table", "a = 1", "[b.c]\nd = 1", "b c d", "1 over.toml:2:5"},
		{"table-replaces-value", "a = 1", "a = { b = 2 }", "a b", "2 over.toml:1:11"},
		{"value-replaces-table", "a = { b = 2 }", "a = 1", "a", "1 over.toml:1:5"},
		{"list-of-tables-replaces-table", "[a]\nb = 2", "[[a]]\nb = 3", "a", "[{b}] over.toml:1:3"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			base, over := parsed(t, test.base), Parse("over.toml", []byte(test.over), new(diag.Diagnostics))
			base.Merge(over)
			if got := merged(base, test.path); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// A drop-in's table reports as the farm's own do: to the farm, and with the farm's keys in mind.
func TestMergedTablesReportToTheTop(t *testing.T) {
	var faults, others diag.Diagnostics
	base := Parse("web.toml", []byte("port = 1"), &faults)
	base.Merge(Parse("over.toml", []byte("[limits.new]\nport = 2"), &others))
	base.Number("port", 0, 1, 65535)
	base.Sub("limits").Sub("new")
	base.FaultUnknown()
	want := `2:1 unknown key "port" in [limits.new] (port belongs at the top of the file, before the first table)`
	if got := list(faults); got != want || len(others) > 0 {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestReaders(t *testing.T) {
	text := func(t *Table) any { return t.Text("a") }
	choice := func(t *Table) any { return t.Choice("a", "up", "up", "drain", "down") }
	flag := func(t *Table) any { return t.Flag("a", true) }
	number := func(t *Table) any { return t.Number("a", 7, 1, 1000) }
	numbers := func(t *Table) any { return fmt.Sprint(t.Numbers("a", 1, 128)) }
	duration := func(t *Table) any { return t.Duration("a") }
	rate := func(t *Table) any { return t.Rate("a") }
	words := func(t *Table) any { return wordsOf(t.Words("a")) }
	sub := func(t *Table) any { return named(t.Sub("a")) }
	subs := func(t *Table) any { return named(t.Subs("a")...) }
	numberOrText := func(t *Table) any { _, text, _ := t.NumberOrText("a", `"0-3"`); return text }
	entries := func(t *Table) any { return entriesOf(t.Entries("a")) }
	const unit = ` (a number and a unit, as in "90s", "5m", "1h30m" or "2d")`

	for _, test := range []struct {
		rule   string
		text   string
		read   func(*Table) any
		want   any
		faults string
	}{
		{"text", "a = 'b'", text, "b", ""},
		{"text-absent", "b = 1", text, "", ""},
		{"text-empty", "a = ''", text, "", ""},
		{"text-number", "a = 80", text, "", `1:5 a is a whole number, not a string (a = "80")`},
		{"text-decimal", "a = 1.5", text, "", `1:5 a is a decimal number, not a string (a = "1.5")`},
		{"text-boolean", "a = true", text, "", `1:5 a is a boolean, not a string (a = "true")`},
		{"text-date", "a = 2026-01-02", text, "", `1:5 a is a date or time, not a string (a = "...")`},
		{"text-list", "a = ['b', 'c']", text, "", `1:5 a is a list, not a string (a = "...")`},
		{"text-list-of-one", "a = ['b']", text, "", `1:5 a is a list, not a string (a = "b")`},
		{"text-table", "[a]\nb = 1", text, "", `1:2 a is a table, not a string (a = "...")`},

		{"number-or-text", "a = 5", numberOrText, "5", ""},
		{"number-or-text-text", "a = '0-3'", numberOrText, "0-3", ""},
		{"number-or-text-absent", "b = 1", numberOrText, "", ""},
		{"number-or-text-list", "a = [5]", numberOrText, "",
			`1:5 a is a list, not a whole number or a string (a = "0-3")`},
		{"number-or-text-table", "[a]\nb = 1", numberOrText, "",
			`1:2 a is a table, not a whole number or a string (a = "0-3")`},

		{"choice", "a = 'drain'", choice, "drain", ""},
		{"choice-absent", "b = 1", choice, "up", ""},
		{"choice-misspelt", "a = 'drian'", choice, "", `1:5 a can't be "drian" (did you mean "drain"?)`},
		{"choice-foreign", "a = 'maintenance'", choice, "", `1:5 a can't be "maintenance" (one of up, drain, down)`},
		{"choice-type", "a = true", choice, "", `1:5 a is a boolean, not a string (a = "up")`},

		{"flag", "a = false", flag, false, ""},
		{"flag-absent", "b = 1", flag, true, ""},
		{"flag-in-quotes", "a = 'true'", flag, false, "1:5 a is a string, not true or false (a = true)"},
		{"flag-no", "a = 'no'", flag, false, "1:5 a is a string, not true or false (a = false)"},
		{"flag-zero", "a = 0", flag, false, "1:5 a is a whole number, not true or false (a = false)"},
		{"flag-list", "a = [true]", flag, false, "1:5 a is a list, not true or false (a = true)"},

		{"number", "a = 5", number, 5, ""},
		{"number-absent", "b = 1", number, 7, ""},
		{"number-least", "a = 1", number, 1, ""},
		{"number-most", "a = 1000", number, 1000, ""},
		{"number-too-small", "a = 0", number, 0, "1:5 a is 0, at least 1"},
		{"number-too-large", "a = 1001", number, 0, "1:5 a is 1001, at most 1000"},
		{"number-beyond-32-bits", "a = 4294967297", number, 0, "1:5 a is 4294967297, at most 1000"},
		{"number-in-quotes", "a = '5'", number, 0, "1:5 a is a string, not a whole number (a = 5)"},
		{"number-in-quotes-too-large", "a = '2000'", number, 0, "1:5 a is a string, not a whole number (a = 1000)"},
		{"number-word", "a = 'high'", number, 0, "1:5 a is a string, not a whole number (a = 1)"},
		{"number-decimal", "a = 2.5", number, 0, "1:5 a is a decimal number, not a whole number (a = 2)"},
		{"number-decimal-too-large", "a = 1e300", number, 0,
			"1:5 a is a decimal number, not a whole number (a = 1000)"},
		{"number-not-a-number", "a = nan", number, 0, "1:5 a is a decimal number, not a whole number (a = 1)"},

		{"numbers", "a = [24, 64]", numbers, "[24 64]", ""},
		{"numbers-absent", "b = 1", numbers, "[]", ""},
		{"numbers-single", "a = 24", numbers, "[24]", ""},
		{"numbers-empty", "a = []", numbers, "[]", "1:5 a needs at least one"},
		{"numbers-too-large", "a = [24,\n 129]", numbers, "[24]", "2:2 an item of a is 129, at most 128"},
		{"numbers-too-small", "a = [0, 24]", numbers, "[24]", "1:6 an item of a is 0, at least 1"},
		{"numbers-type", "a = [24, '64']", numbers, "[24]",
			"1:10 an item of a is a string, not a whole number (a = [64])"},
		{"numbers-single-type", "a = '24'", numbers, "[]", "1:5 a is a string, not a whole number (a = [24])"},
		{"numbers-list-in-list", "a = [[24, 64]]", numbers, "[]",
			"1:6 an item of a is a list, not a whole number (a = [1])"},

		{"rate-second", "a = '10/second'", rate, Rate{10, "second"}, ""},
		{"rate-short-second", "a = '10/s'", rate, Rate{10, "second"}, ""},
		{"rate-short-minute", "a = '10/m'", rate, Rate{10, "minute"}, ""},
		{"rate-short-hour", "a = '10/h'", rate, Rate{10, "hour"}, ""},
		{"rate-short-day", "a = '10/d'", rate, Rate{10, "day"}, ""},
		{"rate-absent", "b = '10/d'", rate, Rate{}, ""},
		{"rate-number", "a = 10", rate, Rate{}, `1:5 a is a whole number, not a rate (a = "10/second")`},
		{"rate-other-unit", "a = '10/w'", rate, Rate{},
			`1:5 a: "10/w" is not a rate ("10/second", "10/minute", "10/hour" or "10/day")`},
		{"rate-zero", "a = '0/s'", rate, Rate{},
			`1:5 a: "0/s" is not a rate ("10/second", "10/minute", "10/hour" or "10/day")`},
		{"duration-seconds", "a = '90s'", duration, 90 * time.Second, ""},
		{"duration-absent", "b = 1", duration, time.Duration(0), ""},
		{"duration-mixed", "a = '1h30m'", duration, 90 * time.Minute, ""},
		{"duration-decimal", "a = '1.5h'", duration, 90 * time.Minute, ""},
		{"duration-days", "a = '2d'", duration, 48 * time.Hour, ""},
		{"duration-days-and-hours", "a = '1d12h'", duration, 36 * time.Hour, ""},
		{"duration-least", "a = '1000us'", duration, time.Millisecond, ""},
		{"duration-most", "a = '365d'", duration, 365 * 24 * time.Hour, ""},
		{"duration-zero", "a = '0s'", duration, time.Duration(0), `1:5 a is "0s", at least 1ms`},
		{"duration-too-short", "a = '999us'", duration, time.Duration(0), `1:5 a is "999us", at least 1ms`},
		{"duration-split-millisecond", "a = '1500us'", duration, time.Duration(0),
			`1:5 a is "1500us", not a whole number of milliseconds`},
		{"duration-too-long", "a = '8761h'", duration, time.Duration(0), `1:5 a is "8761h", at most 365d`},
		{"duration-too-many-days", "a = '366d'", duration, time.Duration(0), `1:5 a is "366d", at most 365d`},
		{"duration-days-and-more", "a = '365d1ms'", duration, time.Duration(0), `1:5 a is "365d1ms", at most 365d`},
		{"duration-beyond-64-bits", "a = '9999999999h'", duration, time.Duration(0),
			`1:5 a is "9999999999h", at most 365d`},
		{"duration-days-beyond-64-bits", "a = '99999999999999999999d'", duration, time.Duration(0),
			`1:5 a is "99999999999999999999d", at most 365d`},
		{"duration-sum-beyond-64-bits", "a = '365d2562047h'", duration, time.Duration(0),
			`1:5 a is "365d2562047h", at most 365d`},
		{"duration-days-around-64-bits", "a = '213504d'", duration, time.Duration(0),
			`1:5 a is "213504d", at most 365d`},
		{"duration-without-unit", "a = '90'", duration, time.Duration(0), `1:5 a is "90", not a duration` + unit},
		{"duration-empty", "a = ''", duration, time.Duration(0), `1:5 a is "", not a duration` + unit},
		{"duration-negative", "a = '-5m'", duration, time.Duration(0), `1:5 a is "-5m", not a duration` + unit},
		{"duration-blank", "a = '5 m'", duration, time.Duration(0), `1:5 a is "5 m", not a duration` + unit},
		{"duration-unit", "a = '2w'", duration, time.Duration(0), `1:5 a is "2w", not a duration` + unit},
		{"duration-number", "a = 60", duration, time.Duration(0),
			`1:5 a is a whole number, not a duration (a = "60s")`},
		{"duration-flag", "a = true", duration, time.Duration(0), `1:5 a is a boolean, not a duration (a = "5m")`},

		{"words", "a = ['b', 'c']", words, "b@1:6 c@1:11", ""},
		{"words-absent", "b = 1", words, "", ""},
		{"words-single", "a = 'b'", words, "b@1:5", ""},
		{"words-empty", "a = []", words, "", "1:5 a needs at least one"},
		{"words-empty-string", "a = ''", words, "", "1:5 a needs at least one"},
		{"words-empty-item", "a = ['b', '']", words, "b@1:6", "1:11 an item of a is empty"},
		{"words-item-type", "a = ['b', 80]", words, "b@1:6",
			`1:11 an item of a is a whole number, not a string (a = ["80"])`},
		{"words-type", "a = 80", words, "", `1:5 a is a whole number, not a string (a = ["80"])`},
		{"words-table", "[a]", words, "", `1:2 a is a table, not a string (a = ["..."])`},

		{"sub", "[a]\nb = 1", sub, "a@1:2", ""},
		{"sub-absent", "b = 1", sub, "", ""},
		{"sub-inline", "a = { b = 1 }", sub, "a@1:1", ""},
		{"sub-type", "a = 'b'", sub, "", "1:5 a is a string, not a table ([a])"},
		{"sub-list-of-tables", "[[a]]", sub, "", "1:3 a is a list, not a table ([a])"},

		{"subs", "[a.c]\n[a.b]", subs, "c@1:4 b@2:4", ""},
		{"subs-absent", "b = 1", subs, "", ""},
		{"subs-dotted", "a.c.d = 1\na.b.d = 1\na.c.e = 2", subs, "c@1:3 b@2:3", ""},
		{"subs-inline", "a = { c = {}, b = {} }", subs, "c@1:7 b@1:15", ""},
		{"subs-heading-later", "[a.b.c]\n[a.b]", subs, "b@2:4", ""},
		{"subs-type", "[[a]]", subs, "", "1:3 a is a list, not a table ([a.NAME])"},
		{"subs-member-type", "[a]\nb = 1\n[a.c]", subs, "c@3:4", "2:5 b is a whole number, not a table ([a.b])"},
		{"subs-member-quoted", "[a]\n'b c' = 1", subs, "", `2:9 b c is a whole number, not a table ([a."b c"])`},

		{"entries", "a = { '192.0.2.1' = 'b', c = 'd' }", entries, "192.0.2.1@1:7=b@1:21 c@1:26=d@1:30", ""},
		{"entries-absent", "b = 1", entries, "", ""},
		{"entries-type", "a = 'b'", entries, "", `1:5 a is a string, not a table (a = { "..." = "..." })`},
		{"entries-value-type", "a = { b = 1, c = 'd' }", entries, "c@1:14=d@1:18",
			`1:11 b is a whole number, not a string (b = "1")`},
		{"entries-without-quotes", "a = { 192.0.2.1 = 'b' }", entries, "",
			`1:7 192 is a table, not a string (a key with dots stands in quotes, as in "192.0.2.1" = "...")`},
	} {
		t.Run(test.rule, func(t *testing.T) {
			top := parsed(t, test.text)
			got := test.read(top)
			if faults := list(*top.faults); got != test.want || faults != test.faults {
				t.Errorf("got  %v, %s\nwant %v, %s", got, faults, test.want, test.faults)
			}
		})
	}
}

func TestReadingGoesOnAfterAFault(t *testing.T) {
	top := parsed(t, "a = 2000\nb = 'c'\nd = 5")
	top.Number("a", 1, 1, 1000)
	top.Flag("b", true)
	if got := top.Number("d", 1, 1, 1000); got != 5 || len(*top.faults) != 2 {
		t.Errorf("got %d, %s", got, list(*top.faults))
	}
}

func TestRaw(t *testing.T) {
	top := parsed(t, "a = 16")
	if v, ok := top.Raw("a"); !ok || v.Data != int64(16) || short(v.Place) != "1:5" {
		t.Errorf("got %v, %t", v, ok)
	}
	if v, ok := top.Raw("b"); ok {
		t.Errorf("got %v of an absent key", v)
	}
}

func TestHas(t *testing.T) {
	top := parsed(t, "a = 16")
	if !top.Has("a") || top.Has("b") {
		t.Errorf("got %t, %t", top.Has("a"), top.Has("b"))
	}
	if top.FaultUnknown(); len(*top.faults) != 0 {
		t.Errorf("a key is unknown that was asked for: %s", list(*top.faults))
	}
}

func TestAt(t *testing.T) {
	top := parsed(t, "[a]\nb = 16")
	for _, test := range []struct {
		rule string
		got  diag.Place
		want string
	}{
		{"value", top.Sub("a").At("b"), "2:5"},
		{"table-of-an-absent-key", top.Sub("a").At("c"), "1:2"},
		{"file-of-an-absent-key", top.At("c"), "0:0"},
	} {
		if short(test.got) != test.want || test.got.File != "web.toml" {
			t.Errorf("%s: got %v, want %s", test.rule, test.got, test.want)
		}
	}
}

func TestFault(t *testing.T) {
	top := parsed(t, "[a]\nb = 1")
	a := top.Sub("a")
	a.Fault(a.At("b"), "b = 2", "b is %d", 1)
	a.FaultWithNote(a.At("b"), diag.Note{Place: a.Place, Message: "of it"}, "b is %d", 3)
	a.Warn(a.At("b"), "b is %d", 4)
	if got := list(*top.faults); got != "2:5 b is 1 (b = 2)\n2:5 b is 3, see 1:2: of it\n2:5 b is 4" {
		t.Errorf("got %s", got)
	}
	for i, want := range []diag.Severity{diag.Fault, diag.Fault, diag.Warning} {
		if got := (*top.faults)[i].Severity; got != want {
			t.Errorf("%d is of severity %s, want %s", i, got, want)
		}
	}
}

func TestUnknown(t *testing.T) {
	read := func(top *Table) {
		top.Choice("state", "up", "up", "down")
		top.Words("listen")
		if limits := top.Sub("limits"); limits != nil {
			limits.Number("clients", 1, 1, 100)
			limits.Sub("new")
		}
		for _, b := range top.Subs("backends") {
			b.Number("port", 1, 1, 65535)
			b.Choice("state", "up", "up", "down")
		}
		top.Entries("static")
	}
	for _, test := range []struct {
		rule string
		text string
		want string
	}{
		{"all-known", "listen = 'a'\n[limits]\nclients = 1\n[backends.b1]\nport = 1", ""},
		{"any-entry-is-known", "static = { 'b' = 'c' }", ""},
		{"misspelt", "lisen = 'a'", `1:1 unknown key "lisen" (did you mean "listen"?)`},
		{"foreign", "colour = 'a'", `1:1 unknown key "colour" (one of backends, limits, listen, state, static)`},
		{"misspelt-table", "[limit.new]\na = 1", `1:2 unknown key "limit" (did you mean "limits"?)`},
		{"in-a-table", "[limits]\nclient = 1", `2:1 unknown key "client" in [limits] (did you mean "clients"?)`},
		{"in-an-inline-table", "limits = { new = { size = 1 } }", `1:20 unknown key "size" in [limits.new]`},
		{"in-a-backend", "[backends.'b.1']\nporte = 1",
			`2:1 unknown key "porte" in [backends."b.1"] (did you mean "port"?)`},
		{"belongs-in-a-table", "clients = 1\n[limits]\nclients = 2",
			`1:1 unknown key "clients" (clients belongs in [limits])`},
		{"belongs-in-a-backend", "port = 1\n[backends.b1]", `1:1 unknown key "port" (port belongs in [backends.b1])`},
		{"belongs-at-the-top", "[limits]\nlisten = 'a'",
			`2:1 unknown key "listen" in [limits] (listen belongs at the top of the file, before the first table)`},
		{"all-in-order", "b = 1\n[limits]\nd = 1\n[backends.b1]\na = 1\n[c]",
			"1:1 unknown key \"b\" (one of backends, limits, listen, state, static)\n" +
				"3:1 unknown key \"d\" in [limits] (one of clients, new)\n" +
				"5:1 unknown key \"a\" in [backends.b1] (one of port, state)\n" +
				"6:2 unknown key \"c\" (one of backends, limits, listen, state, static)"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			top := parsed(t, test.text)
			read(top)
			top.FaultUnknown()
			if got := list(*top.faults); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestUnknownTellsOnce(t *testing.T) {
	top := parsed(t, "[a]\nb = 1")
	top.Sub("a").FaultUnknown()
	top.FaultUnknown()
	if got := list(*top.faults); got != `2:1 unknown key "b" in [a]` {
		t.Errorf("got %s", got)
	}
}

// FuzzParseTable gives Parse anything: there is a table or a fault, the table has toml's values, and each place has its
// value.
func FuzzParseTable(f *testing.F) {
	for _, text := range seeds {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var faults diag.Diagnostics
		top := Parse("web.toml", text, &faults)
		if (top == nil) == (len(faults) == 0) {
			t.Fatalf("table %v, faults %s", top, list(faults))
		}
		if top == nil {
			inside(t, text, faults[0].Place)
			return
		}
		read := make(map[string]any)
		if _, err := burntsushi.Decode(strings.TrimLeft(string(text), "\ufeff"), &read); err != nil {
			t.Fatal(err)
		}
		if got, want := fmt.Sprintf("%#v", plain(top)), fmt.Sprintf("%#v", plain(read)); got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
		everyValue(Value{Place: top.Place, Data: top}, func(v Value) {
			inside(t, text, v.key)
			if rest := text[inside(t, text, v.Place):]; !begins(string(rest), v.Data) {
				t.Errorf("no %v at %s: %q", v.Data, v.Place, rest)
			}
		})
	})
}

// inTable gives the offset of a place, counted anew.
func inside(t *testing.T, text []byte, at diag.Place) int {
	if at.Line == 0 {
		return 0
	}
	marks := len(text) - len(strings.TrimLeft(string(text), "\ufeff"))
	lines := strings.SplitAfter(string(text[marks:]), "\n")
	if at.Line > len(lines) || at.Text != strings.TrimSuffix(strings.TrimSuffix(lines[at.Line-1], "\n"), "\r") {
		t.Fatalf("no such line at %s: %q", at, at.Text)
	}
	offset, line := marks+len(strings.Join(lines[:at.Line-1], "")), lines[at.Line-1]
	for range at.Column - 1 {
		_, width := utf8.DecodeRuneInString(line)
		if width == 0 {
			t.Fatalf("no such column at %s: %q", at, at.Text)
		}
		offset, line = offset+width, line[width:]
	}
	return offset
}

// begins says whether the text begins with the value.
func begins(text string, data any) bool {
	switch data.(type) {
	case []Value:
		return strings.HasPrefix(text, "[")
	case *Table:
		return strings.HasPrefix(text, "{")
	}
	for end := range len(text) + 1 {
		var read struct{ X any }
		if _, err := burntsushi.Decode("x="+text[:end], &read); err == nil &&
			fmt.Sprintf("%#v", read.X) == fmt.Sprintf("%#v", data) {
			return true
		}
	}
	return false
}

// everyValue visits all but the tables that a heading or a dotted key makes, which have no value to look at.
func everyValue(v Value, do func(Value)) {
	switch data := v.Data.(type) {
	case *Table:
		if v.Place != data.Place {
			do(v)
		}
		for _, v := range data.values.values {
			everyValue(v, do)
		}
	case []Value:
		if v.Place != v.key {
			do(v)
		}
		for _, item := range data {
			everyValue(item, do)
		}
	default:
		do(v)
	}
}

// plain reduces a table, or toml's values, to maps and lists.
func plain(data any) any {
	switch data := data.(type) {
	case *Table:
		all := make(map[string]any)
		for i, v := range data.values.values {
			key := data.values.keys[i]
			all[key] = plain(v.Data)
		}
		return all
	case map[string]any:
		all := maps.Clone(data)
		for key := range all {
			all[key] = plain(all[key])
		}
		return all
	case []Value, []any, []map[string]any:
		list, all := reflect.ValueOf(data), []any{}
		for i := range list.Len() {
			item := list.Index(i).Interface()
			if v, ok := item.(Value); ok {
				item = v.Data
			}
			all = append(all, plain(item))
		}
		return all
	}
	return data
}

func BenchmarkParseTable(b *testing.B) {
	for _, bench := range []struct {
		rule string
		text string
	}{
		{"20-lines", strings.Join(strings.Split(referenceFarm, "\n")[:20], "\n")},
		{"reference", referenceFarm},
		{"10000-sessions-in-a-line", "static = { " + sessions(10000) + " }"},
	} {
		b.Run(bench.rule, func(b *testing.B) {
			text := []byte(bench.text)
			for b.Loop() {
				if Parse("web.toml", text, new(diag.Diagnostics)) == nil {
					b.Fatal("no table")
				}
			}
		})
		b.Run(bench.rule+"/toml-alone", func(b *testing.B) {
			for b.Loop() {
				if _, err := burntsushi.Decode(bench.text, new(map[string]any)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func sessions(n int) string {
	var all strings.Builder
	for i := range n {
		fmt.Fprintf(&all, "'client %d' = 'b1', ", i)
	}
	return all.String()
}

// parsed is the table of a text that has no fault.
func parsed(t *testing.T, text string) *Table {
	t.Helper()
	var faults diag.Diagnostics
	top := Parse("web.toml", []byte(text), &faults)
	if top == nil {
		t.Fatal(list(faults))
	}
	return top
}

// walk goes down the keys of a path.
func walk(top *Table, path string) Value {
	v := Value{Data: top, Place: top.Place}
	for _, key := range strings.Split(path, " ") {
		v = v.Data.(*Table).values.get(key)
	}
	return v
}

// merged writes the value at a path with its place; of a table its keys.
func merged(top *Table, path string) string {
	if path == "" {
		return keys(top)
	}
	v := walk(top, path)
	return fmt.Sprintf("%s %s", content(v.Data), v.Place)
}

func content(data any) string {
	switch data := data.(type) {
	case *Table:
		return "{" + keys(data) + "}"
	case []Value:
		var all []string
		for _, v := range data {
			all = append(all, content(v.Data))
		}
		return fmt.Sprint(all)
	}
	return fmt.Sprint(data)
}

func keys(t *Table) string { return strings.Join(t.values.keys, " ") }

// list writes faults a line each: place, message, hint and the other places.
func list(faults diag.Diagnostics) string {
	var lines []string
	for _, d := range faults {
		line := fmt.Sprintf("%s %s", short(d.Place), d.Message)
		if d.Hint != "" {
			line += " (" + d.Hint + ")"
		}
		for _, n := range d.Also {
			line += fmt.Sprintf(", see %s: %s", short(n.Place), n.Message)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func short(p diag.Place) string { return fmt.Sprintf("%d:%d", p.Line, p.Column) }

// indices tells where a value and its items begin.
func places(v Value) string {
	say := short(v.Place)
	if items, ok := v.Data.([]Value); ok {
		for _, item := range items {
			say += " " + places(item)
		}
	}
	return say
}

func wordsOf(words []Word) string {
	var all []string
	for _, w := range words {
		all = append(all, w.Text+"@"+short(w.Place))
	}
	return strings.Join(all, " ")
}

func entriesOf(entries []Entry) string {
	var all []string
	for _, e := range entries {
		all = append(all, wordsOf([]Word{e.Key})+"="+wordsOf([]Word{e.Value}))
	}
	return strings.Join(all, " ")
}

func named(tables ...*Table) string {
	var all []string
	for _, t := range tables {
		if t != nil {
			all = append(all, t.Name+"@"+short(t.Place))
		}
	}
	return strings.Join(all, " ")
}
