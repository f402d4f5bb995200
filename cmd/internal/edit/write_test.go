package edit

import (
	"math"
	"os"
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	for _, test := range []struct{ rule, document, want string }{
		{"order", `{"backends": {"b2": {"weight": 5, "address": "10.0.0.2"}, "b1": {"state": "down", "port": 8080}},
			"limits": {"ban": "2m", "new": {"burst": 5, "rate": "1/second"}}, "zebra": 1, "listen": ["192.0.2.1:80"],
			"mode": "dnat", "access": {"deny": ["any"]}, "another": {"x": 1}}`,
			"mode = \"dnat\"\nlisten = [\"192.0.2.1:80\"]\nanother = { x = 1 }\nzebra = 1\n\n[access]\n" +
				"deny = [\"any\"]\n\n[limits]\n" +
				"new = { rate = \"1/second\", burst = 5 }\nban = \"2m\"\n\n[backends.b1]\nport = 8080\n" +
				"state = \"down\"\n\n[backends.b2]\naddress = \"10.0.0.2\"\nweight = 5\n"},
		{"empty", `{}`, ""},
		{"empty-tables", `{"limits": {}, "backends": {"b1": {}}}`, "\n[limits]\n\n[backends.b1]\n"},
		{"no-backends", `{"backends": {}}`, "\n[backends]\n"},
		{"a-backend-that-is-no-table", `{"backends": {"b1": 5, "b2": {}}}`, "\n[backends]\nb1 = 5\n\n[backends.b2]\n"},
		{"numbers", `{"a": -5, "b": 0.5, "c": 1e30, "d": 9223372036854775807, "e": true, "f": []}`,
			"a = -5\nb = 0.5\nc = 1e+30\nd = 9223372036854775807\ne = true\nf = []\n"},
		{"names", `{"a.b": 1, "c\"\n": 3}`, "\"a.b\" = 1\n\"c\\\"\\n\" = 3\n"},
		{"strings", `{"a": "it's \"b\" \\ \n\r\t\u0000\u007f\u0085\u202e\u2028\ufeff\u200b é\ud83d\ude00"}`,
			`a = "it's \"b\" \\ \n\u000d\t\u0000\u007f\u0085\u202e\u2028\ufeff\u200b é😀"` + "\n"},
		{"statements", `{"a": "\"\n[backends.evil]\naddress = \"10.9.9.9\"\n#"}`,
			`a = "\"\n[backends.evil]\naddress = \"10.9.9.9\"\n#"` + "\n"},
		{"long-list", `{"listen": ["` + strings.Repeat("a", 60) + `", "` + strings.Repeat("b", 60) + `"]}`,
			"listen = [\n    \"" + strings.Repeat("a", 60) + "\",\n    \"" + strings.Repeat("b", 60) + "\",\n]\n"},
		{"long-table", `{"persistence": {"static": {"192.0.2.1": "` + strings.Repeat("b", 90) + `"}, "on": "x"}}`,
			"\n[persistence]\non = \"x\"\n\n[persistence.static]\n" +
				"\"192.0.2.1\" = \"" + strings.Repeat("b", 90) + "\"\n"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			got, faults := Write(decoded(t, test.document))
			if want := WrittenBy + "\n" + test.want; len(faults) > 0 || string(got) != want {
				t.Errorf("got\n%s%s\nwant\n%s", got, list(faults), want)
			}
		})
	}
}

// TestWriteOfTheReference: keys of the reference farm, each switched on, stay in their order.
func TestWriteOfTheReference(t *testing.T) {
	text, err := os.ReadFile("../../../farms.d/reference.toml")
	if err != nil {
		t.Fatal(err)
	}
	var on []string
	for line := range strings.Lines(string(text)) {
		_, _, isKey := strings.Cut(strings.TrimPrefix(line, "#"), " = ")
		isKey = isKey && !strings.HasPrefix(line, "# ") && !strings.HasPrefix(line, " ")
		if isKey || strings.HasPrefix(line, "#[") || strings.HasPrefix(line, "[") {
			on = append(on, strings.TrimSpace(strings.TrimPrefix(line, "#")))
		}
	}
	document, faults := Read([]byte(strings.Join(on, "\n")))
	if len(faults) > 0 || len(on) < 40 {
		t.Fatalf("%s of %d lines", list(faults), len(on))
	}
	written, faults := Write(document)
	if len(faults) > 0 {
		t.Fatal(list(faults))
	}
	if got, want := keysOf(string(written)), keysOf(strings.Join(on, "\n")); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// keysOf gives the first words of the lines that are statements.
func keysOf(text string) string {
	var keys []string
	for line := range strings.Lines(text) {
		if key, _, isKey := strings.Cut(line, " = "); isKey || strings.HasPrefix(line, "[") {
			keys = append(keys, strings.TrimSpace(key))
		}
	}
	return strings.Join(keys, "\n")
}

func TestWriteFaults(t *testing.T) {
	for _, test := range []struct {
		rule     string
		document Document
		want     string
	}{
		{"null", Document{"a": nil}, "a: null is no value of TOML; leave the key out"},
		{"not-utf-8", Document{"a": []any{"\xff"}, "b\xff": int64(1)}, "a[0]: the string is not UTF-8\n" +
			"\"b\ufffd\": the name is not UTF-8"},
		{"empty-name", Document{"a": map[string]any{"": int64(1)}}, `a."": the name is empty`},
		{"infinite", Document{"a": math.Inf(1)}, "a: +Inf is no number of JSON"},
		{"deep", Document{"a": nested(maxDepth - 1), "b": nested(maxDepth)},
			"b[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]: more than 16 levels deep"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			got, faults := Write(test.document)
			if told := list(faults); got != nil || told != test.want {
				t.Errorf("got  %s\nwant %s", told, test.want)
			}
		})
	}
}

// nested gives lists in lists.
func nested(levels int) any {
	if levels == 0 {
		return int64(1)
	}
	return []any{nested(levels - 1)}
}
