package toml

import (
	"encoding/json"
	"slices"
	"testing"

	"farmc/compiler/diag"
)

// TestDocument: a document has the keys and values of a merged table, and JSON can hold it.
func TestDocument(t *testing.T) {
	var faults diag.Diagnostics
	table := Parse("web.toml", []byte(`a = [1, "b", true, 1.5, { c = [] }]
d = [2026-01-02T03:04:05Z, 2026-01-02T03:04:05.5, 2026-01-02, 03:04:05, inf, -inf, nan]
e.f = 1
[e.g]
h = "i"
[[j]]
k = 1
[[j]]
`), &faults)
	table.Merge(Parse("drop-in.toml", []byte("e.f = 2\n[e.g]\nl = 3\n"), &faults))
	got, err := json.Marshal(table.Document())
	want := `{"a":[1,"b",true,1.5,{"c":[]}],` +
		`"d":["2026-01-02T03:04:05Z","2026-01-02T03:04:05.5","2026-01-02","03:04:05","+Inf","-Inf","NaN"],` +
		`"e":{"f":2,"g":{"h":"i","l":3}},"j":[{"k":1},{}]}`
	if err != nil || len(faults) > 0 || string(got) != want {
		t.Errorf("got  %s %v %v\nwant %s", got, err, faults, want)
	}
}

// TestStatements: the offsets of statements, names and values have the bytes of the text between them.
func TestStatements(t *testing.T) {
	text := "\ufeff# c\r\n a . \"b c\" =  [ 1,\r\n 'd' ]  # e\r\n[ f.g ] # h\r\n[[i]]\r\nj={k=1 , l = 0x1F }\t\r\n" +
		"m = 2026-01-02 03:04:05 # n\no = \"\"\"p\n\"\"\""
	var got []string
	var add func(s Statement)
	add = func(s Statement) {
		got = append(got, text[s.Start:s.End])
		for _, p := range s.Parts {
			got = append(got, p.Name+"@"+text[p.Start:p.End])
		}
		got = append(got, text[s.Value.Start:s.Value.End])
		for _, k := range s.Value.Keys {
			add(k)
		}
	}
	for _, s := range Statements(text) {
		add(s)
	}
	want := []string{"a . \"b c\" =  [ 1,\r\n 'd' ]", "a@a", "b c@\"b c\"", "[ 1,\r\n 'd' ]",
		"[ f.g ]", "f@f", "g@g", "",
		"[[i]]", "i@i", "", "j={k=1 , l = 0x1F }", "j@j", "{k=1 , l = 0x1F }", "k=1", "k@k", "1", "l = 0x1F", "l@l",
		"0x1F",
		"m = 2026-01-02 03:04:05", "m@m", "2026-01-02 03:04:05", "o = \"\"\"p\n\"\"\"", "o@o", "\"\"\"p\n\"\"\""}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
