package toml

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestMarshalJSON(t *testing.T) {
	tests := []struct{ rule, text, want string }{
		{"nothing", "# a comment", `{}`},
		{"scalars", "a = 1\nb = true\nc = \"x\"\nd = 1.5", `{"a":1,"b":true,"c":"x","d":1.5}`},
		{"order of the document", "z = 1\na = 2", `{"z":1,"a":2}`},
		{"lists", "a = [1, [\"x\"], {b = 2}]", `{"a":[1,["x"],{"b":2}]}`},
		{"dotted keys and tables", "a.b = 1\n[c.d]\ne = 2", `{"a":{"b":1},"c":{"d":{"e":2}}}`},
		{"lists of tables", "[[a]]\nb = 1\n[[a]]\nb = 2", `{"a":[{"b":1},{"b":2}]}`},
		{"signs that JSON escapes", `a = "\"\\\u0000\n"` + "\n\"k\\\"\" = 1", `{"a":"\"\\\u0000\n","k\"":1}`},
		{"no numbers of JSON", "a = inf\nb = -inf\nc = nan", `{"a":"+Inf","b":"-Inf","c":"NaN"}`},
		{"a date", "a = 2026-11-28T10:00:00Z", `{"a":"2026-11-28T10:00:00Z"}`},
		{"a large number", "a = 9223372036854775807", `{"a":9223372036854775807}`},
	}
	for _, tt := range tests {
		got, err := json.Marshal(parsed(t, tt.text))
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: %s, %v, want %s", tt.rule, got, err, tt.want)
		}
	}
}

func TestMarshalJSONOfMergedTables(t *testing.T) {
	table := parsed(t, "a = 1\n[b.c]\nd = 1\ne = [1]")
	table.Merge(parsed(t, "f = 2\nb.c.d = 3\n[b.g]\nh = 1"))
	got, err := json.Marshal(table)
	if want := `{"a":1,"b":{"c":{"d":3,"e":[1]},"g":{"h":1}},"f":2}`; err != nil || string(got) != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}

func TestKeyAt(t *testing.T) {
	text := strings.Join([]string{
		"listen = \"192.0.2.10:80\"",           // 1
		"limits.new = { rate = 1, burst = 2 }", // 2
		"",                                     // 3
		"[backends.b1]",                        // 4
		"  weight = [1,",                       // 5
		"  2]",                                 // 6
		"",
	}, "\n")
	tests := []struct {
		line, column int
		want         string
	}{
		{1, 1, "listen"}, {1, 10, "listen"}, {2, 1, "limits.new"}, {2, 8, "limits.new"}, {2, 16, "limits.new.rate"},
		{2, 23, "limits.new.rate"}, {2, 26, "limits.new.burst"}, {4, 2, "backends.b1"}, {4, 11, "backends.b1"},
		{5, 3, "backends.b1.weight"}, {5, 13, "backends.b1.weight"}, {6, 3, "backends.b1.weight"},
	}
	for _, tt := range tests {
		if got := KeyAt([]byte(text), tt.line, tt.column); got != tt.want {
			t.Errorf("%d:%d: %q, want %q", tt.line, tt.column, got, tt.want)
		}
	}
	for _, odd := range []string{"", "=", "[", "a", "\ufeffa=1", "a = \"\"\"\n"} {
		KeyAt([]byte(odd), 1, 1)
		KeyAt([]byte(odd), 100, 100)
	}
	if got := KeyAt([]byte("# nothing\na = 1"), 1, 1); got != "" {
		t.Errorf("before the first key: %q", got)
	}
}
