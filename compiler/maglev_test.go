package compiler_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler"
	"farmc/compiler/farm"
	"farmc/compiler/internal/compilertest"
)

// The names of a farm and its backends do not matter, nor do states for the size of the table: a backend that goes down
// and comes back must not move the clients of others.
func TestMaglevOfFarms(t *testing.T) {
	const form = `
listen = "192.0.2.10:80"
scheduler = "maglev"
`
	farm := func(names ...string) string {
		text := form
		for i, name := range names {
			text += fmt.Sprintf("[backends.%s]\naddress = \"10.0.0.%d\"\n", name, 11+i)
		}
		return text
	}
	eleven := farm("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k") // ten have a smaller table
	want := slotLines(t, "web", eleven)
	if got := slotLines(t, "shop", farm("z", "y", "x", "w", "v", "u", "t", "s", "r", "q", "p")); !slices.Equal(
		got,
		want,
	) {
		t.Error("names make another table")
	}
	down := slotLines(t, "web", strings.Replace(eleven, "[backends.f]\n", "[backends.f]\nstate = \"down\"\n", 1))
	moved, stayed := 0, 0
	for i := range min(len(want), len(down)) {
		if strings.Contains(want[i], "10.0.0.16") {
			continue
		}
		if want[i] == down[i] {
			stayed++
		} else {
			moved++
		}
	}
	if len(down) != len(want) || moved*100 > 2*(moved+stayed) {
		t.Errorf(
			"one of eleven down: %d slots instead of %d, %d of %d change hands",
			len(down),
			len(want),
			moved,
			moved+stayed,
		)
	}
}

// slotLines are the elements of the only map of slots.
func slotLines(t *testing.T, name, text string) []string {
	t.Helper()
	script, told := compiler.Compile([]farm.Dir{{FS: fstest.MapFS{name + ".toml": {Data: []byte(text)}}}})
	if told.Faulty() {
		t.Fatal(compilertest.Printed(told))
	}
	_, after, _ := strings.Cut(string(script.Text), "map slots-maglev-")
	_, after, _ = strings.Cut(after, "elements = {\n")
	elements, _, _ := strings.Cut(after, "\t\t}")
	return slices.DeleteFunc(
		strings.Split(elements, "\n"),
		func(line string) bool { return !strings.Contains(line, " : ") },
	)
}
