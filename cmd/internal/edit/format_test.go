package edit

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestFormat lays out the texts of testdata/format.
func TestFormat(t *testing.T) {
	cases, err := filepath.Glob("testdata/format/*.txtar")
	if err != nil || len(cases) < 10 {
		t.Fatal(err, cases)
	}
	for _, path := range cases {
		archive, err := txtar.ParseFile(path)
		if err != nil || len(archive.Files) != 2 {
			t.Fatal(path, err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			checkFormat(t, string(archive.Files[0].Data), string(archive.Files[1].Data))
		})
	}
	t.Run("ends-of-lines", func(t *testing.T) {
		checkFormat(t, "\ufeffmode = \"dnat\" \r\n\r\n\r\n\r\nlisten = \"a\"", "mode = \"dnat\"\n\nlisten = \"a\"\n")
	})
	t.Run("nothing", func(t *testing.T) { checkFormat(t, " \n", "") })
}

func checkFormat(t *testing.T, before, after string) {
	got, faults := Format([]byte(before))
	if len(faults) > 0 || string(got) != after {
		t.Fatalf("faults %v\ngot\n%s\nwant\n%s", faults, got, after)
	}
	if again, _ := Format(got); string(again) != after {
		t.Errorf("once more\n%s", again)
	}
}

func TestFormatFaults(t *testing.T) {
	got, faults := Format([]byte("mode = \"dnat\"\nmode = \"snat\"\n"))
	if got != nil || len(faults) != 1 || faults[0].Line != 2 {
		t.Errorf("got %q, faults %v", got, faults)
	}
}

// TestFormatRandom formats random documents in random spellings: the document and all comments stay, and the result
// formatted once more is the same.
func TestFormatRandom(t *testing.T) {
	moved := 0
	for seed := range 3000 {
		random := rand.New(rand.NewPCG(17, uint64(seed)))
		document := randomTable(random, nil, 0)
		text := joined(spell(random, document))
		got, faults := Format([]byte(text))
		again, _ := Format(got)
		read, _ := Read(got)
		switch {
		case len(faults) > 0:
			t.Fatalf("seed %d: %v\n%s", seed, faults, text)
		case len(document)+len(read) > 0 && !reflect.DeepEqual(map[string]any(read), document):
			t.Fatalf("seed %d: another document\nbefore\n%s\nafter\n%s", seed, text, got)
		case !slices.Equal(inkOf(text), inkOf(string(got))):
			t.Fatalf("seed %d: other comments\nbefore\n%s\nafter\n%s", seed, text, got)
		case string(again) != string(got):
			t.Fatalf("seed %d: not stable\nonce\n%s\ntwice\n%s", seed, got, again)
		case string(got) != text:
			moved++
		}
	}
	if moved < 2000 {
		t.Errorf("only %d of 3000 texts change", moved)
	}
}

// inkOf gives the characters of a text without spacing, commas and end marks, sorted: what Format must neither add
// nor lose.
func inkOf(text string) []rune {
	var out []rune
	for _, r := range text {
		if !strings.ContainsRune(" \t\r\n,\ufeff", r) {
			out = append(out, r)
		}
	}
	slices.Sort(out)
	return out
}

// TestFormatWritten: what Write writes is laid out already.
func TestFormatWritten(t *testing.T) {
	for seed := range 1000 {
		text, faults := Write(randomTable(rand.New(rand.NewPCG(18, uint64(seed))), nil, 0))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		if got, _ := Format(text); string(got) != string(text) {
			t.Fatalf("seed %d\nwritten\n%s\nformatted\n%s", seed, text, got)
		}
	}
}

// TestFormatExamples: the farms of the repository are laid out already.
func TestFormatExamples(t *testing.T) {
	farms, err := filepath.Glob("../../../farms.d/*.toml")
	if err != nil || len(farms) == 0 {
		t.Fatal(err, farms)
	}
	for _, path := range farms {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := Format(text); string(got) != string(text) {
			t.Errorf("%s would be\n%s", path, got)
		}
	}
}
