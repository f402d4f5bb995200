package edit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// handWritten is a farm with everything that an editor of files gets wrong. Lines end with CRLF, the last one does not.
var handWritten = strings.ReplaceAll("\ufeff"+`#  The shop.   "weight = 1"  [backends.b1]
listen=[ "192.0.2.10:80",   # http
         '192.0.2.10:443', ]	# https

  description = """
weight = 3 # no comment
[backends.b2]
"""
limits . "new"   =   {rate="10/second" ,burst = 0x14}    # odd

[backends]    # some
b1.weight	=	1   # b1, dotted
"b1" . address = '10.2.0.11'
b2 = { address = "10.2.0.12", weight = 2, mark = "0x1/0xf" } # inline
'b3' . address = "10.2.0.13"
b3.weight = 3

	# weight = 9
	[ backends . b4 ]
	address    = "10.2.0.14"
	weight     = 4_0	# forty
#	port       = 80


[access]
deny = []
# the end`, "\n", "\r\n")

// TestPatchOfOneWeight: the patch of one weight changes that value and no other byte.
func TestPatchOfOneWeight(t *testing.T) {
	for _, test := range []struct{ backend, before, after string }{
		{"b1", "\nb1.weight\t=\t1   #", "\nb1.weight\t=\t77   #"},
		{"b2", "weight = 2,", "weight = 77,"},
		{"b3", "b3.weight = 3\r", "b3.weight = 77\r"},
		{"b4", "weight     = 4_0\t#", "weight     = 77\t#"},
	} {
		patch := decoded(t, `{"backends": {"`+test.backend+`": {"weight": 77}}}`)
		got, faults := Patch([]byte(handWritten), patch)
		want := strings.Replace(handWritten, test.before, test.after, 1)
		if len(faults) > 0 || want == handWritten || string(got) != want {
			t.Errorf("%s: got\n%q %s\nwant\n%q", test.backend, got, faults, want)
		}
		back, _ := Patch(got, Document{backends: map[string]any{test.backend: map[string]any{"weight": int64(77)}}})
		if string(back) != want {
			t.Errorf("%s: the same patch again changes %q", test.backend, back)
		}
	}
}

// TestReadIsWhatTheCompilerReads: the document of a text is the compiler's table.
func TestReadIsWhatTheCompilerReads(t *testing.T) {
	var told diag.Diagnostics
	table := toml.Parse("shop.toml", []byte(handWritten), &told)
	if len(told) > 0 {
		t.Fatal(told)
	}
	got, faults := Read([]byte(handWritten))
	if b := got[backends].(map[string]any)["b4"].(map[string]any); len(faults) > 0 || b["weight"] != int64(40) ||
		len(table.Keys()) != len(got) {
		t.Errorf("got %v %s", got, faults)
	}
}

// TestPatchOfRealFarms: in each farm of the goldens a key that is added to a backend and removed again leaves the text
// as it was, and a weight changes no other line.
func TestPatchOfRealFarms(t *testing.T) {
	paths, err := filepath.Glob("../../../golden/*/*/*.toml")
	if err != nil || len(paths) < 50 {
		t.Fatalf("%d farms, %v", len(paths), err)
	}
	for _, path := range paths {
		before, err := os.ReadFile(path)
		if err != nil {
			continue // a directory, or a link to nothing
		}
		document, faults := Read(before)
		tables, _ := document[backends].(map[string]any)
		for name, value := range tables {
			backend, isTable := value.(map[string]any)
			if !isTable || len(faults) > 0 {
				continue
			}
			change := func(text []byte, key string, value any) []byte {
				out, faults := Patch(text, Document{backends: map[string]any{name: map[string]any{key: value}}})
				if len(faults) > 0 {
					t.Errorf("%s: %s", path, list(faults))
				}
				return out
			}
			added := change(before, "new", "key")
			if after := change(added, "new", nil); string(after) != string(before) || string(added) == string(before) {
				t.Errorf("%s, %s: got %q by %q", path, name, after, added)
			}
			if _, weighs := backend["weight"]; weighs {
				checkOneLine(t, string(before), string(change(before, "weight", int64(77))))
			}
		}
	}
}

func checkOneLine(t *testing.T, before, after string) {
	t.Helper()
	old, now := strings.Split(before, "\n"), strings.Split(after, "\n")
	changed := 0
	for i := range min(len(old), len(now)) {
		if old[i] != now[i] {
			changed++
		}
	}
	if len(old) != len(now) || changed != 1 {
		t.Errorf("%d lines change in %q", changed, after)
	}
}

func TestPatchFaults(t *testing.T) {
	for _, test := range []struct{ rule, text, patch, want string }{
		{"no-toml", "a = \n", `{"a": 1}`, "1:5: expected value but found the end of the line instead"},
		{"twice", "a = 1\na = 2\n", `{"a": 1}`, "2:1: key 'a' has already been defined"},
		{"null-in-a-list", "a = 1\n", `{"a": [1, null], "b": {"c": [{"d": null}]}}`,
			"a[1]: null is no value of TOML; leave the key out\nb.c[0].d: null is no value of TOML; leave the key out"},
		{"long-string", "a = 1\n", `{"a": "` + strings.Repeat("b", maxString+1) + `"}`,
			"a: the string has 65537 bytes, at most 65536"},
		{"long-name", "a = 1\n", `{"` + strings.Repeat("b", maxString+1) + `": 1}`,
			strings.Repeat("b", longestPath) + "...: the name has 65537 bytes, at most 65536"},
		{"long-file", "a = 1\n", `{"a": [` + strings.Repeat(`"`+strings.Repeat("b", maxString)+`",`, 63) + `"` +
			strings.Repeat("b", maxString) + `"]}`, "the farm's file would have 4194824 bytes, at most 1048576"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			got, faults := Patch([]byte(test.text), decoded(t, test.patch))
			if told := list(faults); got != nil || !strings.HasPrefix(told, test.want) {
				t.Errorf("got  %s\nwant %s", told, test.want)
			}
		})
	}
}

func list(faults []Fault) string {
	var lines []string
	for _, f := range faults {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}
