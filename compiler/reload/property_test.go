package reload

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"farmc/compiler/farm"
	"farmc/compiler/internal/compilertest"
	"farmc/compiler/ruleset"
)

// TestPropertyReloads edits random farms again and again: each time the reload, from the loaded script or from the
// kernel's objects, has the result of a load of the complete script, and sends nothing of unchanged farms.
func TestPropertyReloads(t *testing.T) {
	t.Parallel()
	k, fresh := compilertest.NewKernel(t), compilertest.NewKernel(t)
	edits := 0
	compilertest.Randomly(t, 20, func(t *testing.T, r *rand.Rand, farms []compilertest.ModelFarm) {
		k.T, fresh.T = t, t
		before := compilertest.Compiled(t, farm.Dir{FS: compilertest.FarmFilesOf(r, farms)})
		k.MustLoad("the first farms", before.Text)
		for range 8 {
			edited, what, after := compilertest.RandomEdit(r, farms)
			if after == nil {
				continue
			}
			reload := reloadAfterEdit(t, r, before, after)
			text := reload.Script(make([]Counter, len(reload.Counted()))).Text
			if !k.MustLoad(what, text) || !fresh.MustLoad(what, after.Text) {
				k.MustLoad(what, after.Text)
				fresh.MustLoad(what, after.Text)
			}
			if got, want := k.Listed(), fresh.Listed(); got != want {
				other := compilertest.OnlyIn(got, want)
				t.Fatalf("%s: the kernel holds other rules:\n%s\nof the reload:\n%s", what, other, text)
			}
			farms, before = edited, after
			edits++
		}
	})
	k.T, fresh.T = t, t
	if edits < *compilertest.FarmSets/6 {
		t.Errorf("only %d edits", edits)
	}
}

func reloadAfterEdit(t *testing.T, r *rand.Rand, before, after *ruleset.Script) *Reload {
	t.Helper()
	var reload *Reload
	var err error
	if r.IntN(4) == 0 {
		reload, err = NewFromHeld(outlineOf(mustRead(t, before.Text)), after, nil)
	} else {
		reload, err = New(before.Text, after)
	}
	if err != nil {
		t.Fatal(err)
	}
	return reload
}

// TestUnchangedFarmsAreNotSent: of farms with chains of their own, none but the one that changes is in a reload.
func TestUnchangedFarmsAreNotSent(t *testing.T) {
	for _, keys := range []string{"scheduler = 'round-robin'", "persistence.on = ['source-address']",
		"limits.new = { rate = '5/second', burst = 9 }"} {
		files := compilertest.PlainFarms(8, keys)
		before := compilertest.Compiled(t, farm.Dir{FS: files})
		files["farm3.toml"].Data = bytes.Replace(
			files["farm3.toml"].Data,
			[]byte("[backends.b0]"),
			[]byte("[backends.b0]\nweight = 2"),
			1,
		)
		text := string(reloadBetween(t, before, compilertest.Compiled(t, farm.Dir{FS: files})).Text)
		for n := range 8 {
			if sent := strings.Contains(text, fmt.Sprintf("farm/farm%d/", n)) ||
				strings.Contains(text, fmt.Sprintf("198.18.0.%d ", n+1)); sent != (n == 3) {
				t.Errorf("%s: farm%d is sent: %v\n%s", keys, n, sent, text)
			}
		}
	}
}
