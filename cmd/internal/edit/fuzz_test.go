package edit

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzDecode gives Decode any text. It takes a subset of JSON, understands it as encoding/json does, and each document
// that it takes can be written and read again.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{`{}`, `{"a":1}`,
		`{"a":{"b":[1,-2.5e3,true,null,"\u00e9\ud83d\ude00"]}}`, `{"a":1,"a":2}`,
		`{"a":"\ud800"}`, "{\"a\":\"\xff\"}", `{"a":[1,]}`, `{"a":1}x`, `{"a":-0}`, `[1]`, `{"":""}`, `{"a":1e400}`,
		`{"a":123456789012345678901}`,
		strings.Repeat(`{"a":`, 20), `{"listen":"192.0.2.1:80","backends":{"b1":{"address":"10.0.0.1","weight":5}}}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		document, faults := Decode(strings.NewReader(string(text)))
		checkFaults(t, faults)
		if len(faults) > 0 {
			return
		}
		var plain map[string]any
		if err := json.Unmarshal(text, &plain); err != nil || !utf8.Valid(text) {
			t.Fatalf("%q is no JSON: %v", text, err)
		}
		if got := throughJSON(t, document); !reflect.DeepEqual(got, any(plain)) {
			t.Errorf("got  %v\nwant %v", got, plain)
		}
		written, faults := Write(document)
		checkFaults(t, faults)
		if len(faults) == 0 {
			checkWritten(t, written, document)
		}
	})
}

// throughJSON gives a document as encoding/json reads it, with numbers as float64.
func throughJSON(t *testing.T, document Document) (plain any) {
	t.Helper()
	text, err := json.Marshal(document)
	if err == nil {
		err = json.Unmarshal(text, &plain)
	}
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// checkFaults: a fault can be shown on a terminal, and none is farmc's own.
func checkFaults(t *testing.T, faults []Fault) {
	t.Helper()
	for _, fault := range faults {
		if strings.ContainsFunc(fault.String(), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("a terminal would obey %q", fault)
		}
		if strings.Contains(fault.Hint, "please report") {
			t.Error(fault)
		}
	}
	if len(faults) > maxFaults {
		t.Errorf("%d faults", len(faults))
	}
}

// checkWritten: a text that Write made has the document, shows all its characters, and begins with its mark.
func checkWritten(t *testing.T, text []byte, want Document) {
	t.Helper()
	got, faults := Read(text)
	if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) || len(faults) > 0 {
		t.Errorf("got  %v %s\nwant %v", got, list(faults), want)
	}
	hidden := func(r rune) bool { return r != '\n' && (!unicode.IsPrint(r) || r == '\r') }
	if !strings.HasPrefix(string(text), WrittenBy+"\n") || strings.ContainsFunc(string(text), hidden) {
		t.Errorf("characters are hidden in %q", text)
	}
}

// FuzzWrite gives Write any names and strings in the places of a farm: none becomes a statement.
func FuzzWrite(f *testing.F) {
	for _, text := range []string{"", "b1", "a.b", `"`, "\"\n[evil]\nx = 1\n#", "\\", "'''", `"""`, "\r\n", "\u202e",
		"\x00", "é",
		"\U000e0001", "\ufeff", "\u2028", strings.Repeat("a", 150)} {
		f.Add(text, text, int64(5), 0.5)
	}
	f.Fuzz(func(t *testing.T, name, text string, whole int64, fraction float64) {
		document := Document{"description": text, name + "x": fraction,
			"listen": []any{text, name, map[string]any{name: text}},
			"limits": map[string]any{"new": map[string]any{name: text}},
			backends: map[string]any{name: map[string]any{"address": text, "weight": whole, name + "y": text}}}
		written, faults := Write(document)
		checkFaults(t, faults)
		if len(faults) > 0 {
			plain := utf8.ValidString(name) && utf8.ValidString(text) && len(name+text) < maxString
			if plain && fraction-fraction == 0 && name != "" {
				t.Errorf("%q %q: %s", name, text, list(faults))
			}
			return
		}
		checkWritten(t, written, document)
	})
}

// FuzzPatch gives Patch any text and any patch: the result is the merged document.
func FuzzPatch(f *testing.F) {
	f.Add([]byte(handWritten),
		[]byte(`{"backends":{"b1":{"weight":7},"b2":null,"b9":{"address":"10.0.0.9"}},"limits":null}`))
	paths, _ := filepath.Glob("../../../farms.d/*.toml")
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, []byte(`{"mode":"dnat","backends":{"b1":null,"new":{"weight":5}},"access":{"deny":["any"]}}`))
	}
	f.Add([]byte("a.b=1\nc={d.e=1,\n# f\n}\n[[g]]\n[a.h]"),
		[]byte(`{"a":{"b":null,"h":1},"c":{"d":{"e":{}}},"g":2,"":{"x":[]}}`))
	f.Fuzz(func(t *testing.T, text, patch []byte) {
		changes, faults := Decode(strings.NewReader(string(patch)))
		old, unreadable := Read(text)
		if len(faults)+len(unreadable) > 0 {
			return
		}
		patched, faults := Patch(text, changes)
		checkFaults(t, faults)
		if len(faults) > 0 {
			return
		}
		want := referenceMerge(map[string]any(old), map[string]any(changes))
		got, faults := Read(patched)
		if len(faults) > 0 || !reflect.DeepEqual(map[string]any(got), want) {
			t.Errorf("got  %v %s\nwant %v", got, list(faults), want)
		}
		if again, _ := Patch(patched, changes); string(again) != string(patched) {
			t.Errorf("the same patch changes %q to %q", patched, again)
		}
	})
}
