package live

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"farmc/compiler"
)

// What is written without json's help reads as what it was.
func TestKeptFactsAreJSON(t *testing.T) {
	web := compiler.Facts(`{"farm":{"log":"\"\u003c{farm}\u003e\" a, {\"farms\":{}}"},"backends":{}}`)
	for _, farms := range []map[string]compiler.Facts{{}, {"web": web}, {"b.c-d_e": `{"farm":{},"backends":null}`, "A": web, "web": web}} {
		kept := keptFacts{"d", farms, map[string]int{`"farms":{}`: 3}, "b", "s"}
		var read keptFacts
		text := kept.text()
		if err := json.Unmarshal(text, &read); err != nil || !reflect.DeepEqual(read, kept) {
			t.Errorf("%v, of\n%s", err, text)
		}
	}
}

// A file that gets a second name keeps what it holds, whatever becomes of one of the two, and a name that it has
// already is no fault.
func TestAlsoAs(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	read := func(name string) string {
		text, _ := os.ReadFile(filepath.Join(s.Dir, name))
		return string(text)
	}
	keep := func(name, text string) {
		t.Helper()
		if err := s.write(name, []byte(text)); err != nil {
			t.Fatal(err)
		}
		os.Rename(filepath.Join(s.Dir, name+pending), filepath.Join(s.Dir, name))
	}
	if err := s.alsoAs(previousFile, loadedFile); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	keep(loadedFile, "one")
	for range 2 { // a farmc was killed after the first
		if err := s.alsoAs(previousFile, loadedFile); err != nil {
			t.Fatal(err)
		}
		os.Rename(filepath.Join(s.Dir, previousFile+pending), filepath.Join(s.Dir, previousFile))
	}
	if read(previousFile) != "one" || read(previousFile+pending) != "" {
		t.Errorf("previous is %q, pending %q", read(previousFile), read(previousFile+pending))
	}
	if err := s.alsoAs(bootFile, loadedFile); err != nil {
		t.Fatal(err)
	}
	keep(bootFile, "two") // over what another farmc left pending
	keep(loadedFile, "three")
	if read(loadedFile) != "three" || read(previousFile) != "one" || read(bootFile) != "two" {
		t.Errorf("loaded %q, previous %q, boot %q", read(loadedFile), read(previousFile), read(bootFile))
	}
}
