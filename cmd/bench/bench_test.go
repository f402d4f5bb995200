package main

import (
	"fmt"
	"testing"
	"testing/fstest"

	"farmc/compiler"
	"farmc/compiler/farm"
)

// The kernel's time to load is quadratic in the number of chains and sets. Farms share chains and sets, except for the
// kinds of farms below, which need some for each farm. Up to 128 farms with persistence have a map more each.
func TestChainsAndSetsOfFarms(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles farms of all kinds")
	}
	own := map[string]size{ // chains and sets for each farm
		"round-robin":           {chains: 1, sets: 1},
		"range":                 {chains: 1, sets: 1},
		"any address":           {chains: 1, sets: 1},
		"round-robin, UDP too":  {chains: 2, sets: 1}, // one for datagrams with forged sources
		"interfaces":            {chains: 1, sets: 1},
		"two interfaces":        {chains: 1, sets: 1},
		"source address each":   {chains: 1},
		"source by backend":     {chains: 1, sets: 1},
		"mark each":             {chains: 1},
		"mark by backend":       {chains: 1, sets: 1},
		"persistence":           {chains: 1, sets: 1},
		"dsr persistence":       {chains: 1, sets: 1},
		"stateless persistence": {chains: 1, sets: 1},
		"limit of the farm":     {chains: 1, sets: 1},
		"limit of each client":  {chains: 1, sets: 1},
		"ban":                   {chains: 3, sets: 2},
		"all limits":            {chains: 3, sets: 6},
		"limit of backends":     {chains: 3},
		"strict-tcp":            {chains: 2},
		"access":                {chains: 1},
		"log":                   {chains: 1},
		"stateless range":       {chains: 1, sets: 2}, // one counts connections that open
	}
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			few, many := compiled(t, k, 129), compiled(t, k, 169)
			got := size{chains: many.chains - few.chains, sets: many.sets - few.sets}
			want := size{chains: 40 * own[k.name].chains, sets: 40 * own[k.name].sets}
			if got != want {
				t.Errorf("40 more farms have %d more chains and %d more sets, want %d and %d",
					got.chains, got.sets, want.chains, want.sets)
			}
			if many.elements < few.elements+40 {
				t.Errorf("129 farms have %d elements, 169 have %d: want 40 more", few.elements, many.elements)
			}
		})
	}
}

func compiled(t *testing.T, k kind, farms int) size {
	t.Helper()
	return sizeOf(compiledText(t, filesOf(farms, k.farm)))
}

func filesOf(farms int, farm func(n int) string) fstest.MapFS {
	files := fstest.MapFS{}
	for n := range farms {
		files[fileName(n)] = &fstest.MapFile{Data: []byte(farm(n)), Mode: 0o644}
	}
	return files
}

func compiledText(t *testing.T, files fstest.MapFS) string {
	t.Helper()
	script, diagnostics := compiler.Compile([]farm.Dir{{Path: "farms.d", FS: files}})
	if diagnostics.Faulty() {
		t.Fatal(fmt.Sprint(diagnostics))
	}
	return string(script.Text)
}
