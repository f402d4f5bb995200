package compiler

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestPropertyReloads edits random farms again and again: each time the reload, from what was loaded or from what the
// kernel tells, comes to what a load of the complete script does, and sends nothing of farms that stay as they are.
func TestPropertyReloads(t *testing.T) {
	t.Parallel()
	k, fresh := newKernel(t), newKernel(t)
	edits := 0
	randomly(t, *farmSets/20, func(t *testing.T, r *rand.Rand, farms []modelFarm) {
		k.t, fresh.t = t, t
		before := compiled(t, Dir{FS: farmFilesOf(r, farms)})
		k.mustLoad("the first farms", before.Text)
		for range 8 {
			edited, what, after := randomEdit(r, farms)
			if after == nil {
				continue
			}
			reload := reloadAfterEdit(t, r, before, after)
			text := reload.Script(make([]Counter, len(reload.Counted()))).Text
			if !k.mustLoad(what, text) || !fresh.mustLoad(what, after.Text) {
				k.mustLoad(what, after.Text)
				fresh.mustLoad(what, after.Text)
			}
			if got, want := k.listed(), fresh.listed(); got != want {
				t.Fatalf("%s: the kernel holds other rules:\n%s\nof the reload:\n%s", what, onlyIn(got, want), text)
			}
			farms, before = edited, after
			edits++
		}
	})
	k.t, fresh.t = t, t
	if edits < *farmSets/6 {
		t.Errorf("only %d edits", edits)
	}
}

func reloadAfterEdit(t *testing.T, r *rand.Rand, before, after *Script) *Reload {
	t.Helper()
	var reload *Reload
	var err error
	if r.IntN(4) == 0 {
		reload, err = NewReloadFrom(outlineOf(mustRead(t, before.Text)), after)
	} else {
		reload, err = NewReload(before.Text, after)
	}
	if err != nil {
		t.Fatal(err)
	}
	return reload
}

// randomEdit makes an edit, and says which; there is no script where the farms that come out have a fault.
func randomEdit(r *rand.Rand, farms []modelFarm) (edited []modelFarm, what string, script *Script) {
	edited = slices.Clone(farms)
	if len(edited) == 0 || r.IntN(8) == 0 {
		f := randomFarm(r)
		if len(f.listens) == 0 || slices.ContainsFunc(edited, f.meets) {
			return nil, "", nil
		}
		edited, what = append(edited, f), "a farm more"
	} else {
		at := r.IntN(len(edited))
		f := &edited[at]
		f.backends = slices.Clone(f.backends)
		b := &f.backends[r.IntN(len(f.backends))]
		switch r.IntN(12) {
		case 0:
			edited, what = slices.Delete(edited, at, at+1), "a farm less"
		case 1:
			f.mode, what = pick(r, "snat", "dnat"), "mode"
		case 2:
			f.down, what = !f.down, "state of a farm"
		case 3:
			f.local, what = !f.local, "local-clients"
		case 4:
			f.mark, what = pick(r, "", "0x10/0xff"), "mark"
		case 5:
			f.tableSize, f.hashOn, what = 0, nil, "scheduler"
			f.randomSchedule(r, slices.ContainsFunc(f.listens, func(l modelListen) bool { return l.ports == nil }))
		case 6:
			b.state, what = pick(r, "up", "drain", "down"), "state of a backend"
		case 7:
			b.port, what = pick(r, 0, 8080, 9090), "port of a backend"
		case 8:
			f.persistOn, f.static, f.prefix, what = nil, nil, "", "no persistence"
			if r.IntN(2) == 0 {
				f.persistOn, what = []string{"source-address"}, "persistence"
			}
		case 9:
			f.backends, what = slices.DeleteFunc(f.backends, func(o modelBackend) bool { return o.name == b.name }), "a backend less"
		default:
			b.weight, what = f.randomWeight(r), "weight"
		}
	}
	script, told := Compile([]Dir{{FS: farmFilesOf(r, edited)}})
	if told.Faulty() {
		return nil, "", nil
	}
	return edited, what, script
}

// TestUnchangedFarmsAreNotSent: of farms with chains of their own, none but the one that changes is in a reload.
func TestUnchangedFarmsAreNotSent(t *testing.T) {
	for _, keys := range []string{"scheduler = 'round-robin'", "persistence.on = ['source-address']", "limits.new = { rate = '5/second', burst = 9 }"} {
		files := plainFarms(8, keys)
		before := compiled(t, Dir{FS: files})
		files["farm3.toml"].Data = bytes.Replace(files["farm3.toml"].Data, []byte("[backends.b0]"), []byte("[backends.b0]\nweight = 2"), 1)
		text := string(reloadBetween(t, before, compiled(t, Dir{FS: files})).Text)
		for n := range 8 {
			if sent := strings.Contains(text, fmt.Sprintf("farm/farm%d/", n)) || strings.Contains(text, fmt.Sprintf("198.18.0.%d ", n+1)); sent != (n == 3) {
				t.Errorf("%s: farm%d is sent: %v\n%s", keys, n, sent, text)
			}
		}
	}
}
