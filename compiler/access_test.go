package compiler_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/fstest"

	"farmc/compiler/farm"
	"farmc/compiler/internal/compilertest"
)

// TestPropertyAccess compares the clients that the script denies with the access lists of the farms.
func TestPropertyAccess(t *testing.T) {
	turnedAway, passed := 0, 0
	compilertest.Randomly(t, 2, func(t *testing.T, r *rand.Rand, farms []compilertest.ModelFarm) {
		files, access := compilertest.FarmFilesOf(r, farms), map[string]compilertest.ModelAccess{}
		for _, f := range farms {
			if r.IntN(3) > 0 {
				access[f.Name] = compilertest.RandomAccess(r)
				settings := append(f.Settings(r), access[f.Name].Settings(r)...)
				files[f.Name+".toml"].Data = []byte(compilertest.TomlText(r, settings))
			}
		}
		for word, text := range compilertest.ModelLists {
			files[word[1:]+".list"] = &fstest.MapFile{Data: []byte(text)}
		}
		script, err := compilertest.ReadScript(string(compilertest.Compiled(t, farm.Dir{FS: files}).Text))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range compilertest.Packets(r, farms, 200) {
			client := compilertest.AccessClients[r.IntN(3)]
			if p.Address.Is6() {
				client = compilertest.AccessClients[3+r.IntN(3)]
			}
			want, promised := compilertest.DeniedFarms(farms, access, p, client)
			if !promised {
				continue
			}
			got := script.DeniedBy(t, p, client)
			if (got != "") != (len(want) > 0) || got != "" && !slices.Contains(want, got) {
				t.Errorf("%s from %s by %q: %q denies it, want %q", p, client, p.Inside, got, want)
				return
			}
			if got != "" {
				turnedAway++
			} else {
				passed++
			}
		}
	})
	if turnedAway == 0 || passed == 0 {
		t.Errorf("%d turned away, %d passed: the farms are too tame", turnedAway, passed)
	}
}
