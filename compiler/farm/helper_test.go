package farm

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"farmc/compiler/diag"
)

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

// farmsOf reads farms, by name, that are written as texts.
func farmsOf(t *testing.T, texts map[string]string) []*Farm {
	t.Helper()
	files := fstest.MapFS{"friends.list": {Data: []byte("203.0.113.0/25\n2001:db8:f::/48\n")}}
	for name, text := range texts {
		files[name+".toml"] = &fstest.MapFile{Data: []byte(text)}
	}
	var told diag.Diagnostics
	farms := new(Cache).Read([]Dir{{FS: files}}, &told)
	if told.Faulty() {
		t.Fatal(told)
	}
	return farms
}

// parseFarm parses a farm's files, and adds its faults.
func parseFarm(files farmFiles, lists map[string]*AddressList, told *diag.Diagnostics) *Farm {
	r := &Reading{files: files}
	r.parse(lists)
	*told = append(*told, r.faults...)
	return r.farm
}
