package compiler

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestGoldenReload compiles the cases that hold farms as they were and as they are, in the directories before and after,
// and writes the reload.nft that leads from the one to the other. Its counts are made up: the first element that goes
// has counted 1 packet of 100 bytes, the next one 2, ...
func TestGoldenReload(t *testing.T) {
	for _, name := range reloadCases(t) {
		t.Run(name, func(t *testing.T) {
			before, after := reloadCase(t, name)
			golden(t, name, "reload.nft", reloadBetween(t, before, after).Text)
		})
	}
}

func reloadCase(t testing.TB, name string) (before, after *Script) {
	t.Helper()
	root := goldenFile(t, name)
	return compiled(t, Dir{FS: os.DirFS(filepath.Join(root, "before"))}), compiled(t, Dir{FS: os.DirFS(filepath.Join(root, "after"))})
}

func reloadBetween(t testing.TB, before, after *Script) *Script {
	t.Helper()
	r, err := NewReload(before.Text, after)
	if err != nil {
		t.Fatal(err)
	}
	counts := make([]Counter, len(r.Counted()))
	for i := range counts {
		counts[i] = Counter{Packets: uint64(i + 1), Bytes: uint64(100 * (i + 1))}
	}
	return r.Script(counts)
}

// TestInventoryIsWhole reads every golden script back, and finds in it all that the grammar of scripts does.
func TestInventoryIsWhole(t *testing.T) {
	for _, s := range goldenScripts(t) {
		found, err := readInventory(string(s.text))
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		expected, err := readScript(string(s.text))
		if err != nil {
			t.Fatal(err)
		}
		for family, table := range found {
			for _, o := range table.objects {
				if o.remembers() && o.bound() {
					t.Errorf("%s: %s is forgotten with each rule that is added on it: declare it by types", s.name, o.Name)
				}
			}
			prefix := map[TableFamily]string{Inet: "", Netdev: "netdev "}[family]
			for _, o := range table.objects {
				switch {
				case o.isSet():
					want := expected.maps[prefix+o.Name]
					if o.size() != len(want.elements) {
						t.Errorf("%s: %s has %d elements, found %d", s.name, o.Name, len(want.elements), o.size())
					}
					for i, e := range o.elements() {
						if w := want.elements[i]; elementKey(e) != w.key || elementValue(e) != w.value {
							t.Errorf("%s: %s: read %q as %q and %q", s.name, o.Name, e.Text, elementKey(e), elementValue(e))
						}
					}
					delete(expected.maps, prefix+o.Name)
				case o.Kind == "chain":
					if want := expected.chains[prefix+o.Name]; len(o.Rules)+len(o.About) != len(want) {
						t.Errorf("%s: %s has %d lines, found %d", s.name, o.Name, len(want), len(o.Rules)+len(o.About))
					}
					delete(expected.chains, prefix+o.Name)
				}
			}
		}
		if len(expected.maps)+len(expected.chains) > 0 {
			t.Errorf("%s: not found: %v %v", s.name, expected.maps, expected.chains)
		}
	}
}

// TestReloadOfTheSame: there is nothing to do.
func TestReloadOfTheSame(t *testing.T) {
	for _, s := range goldenScripts(t) {
		r, err := NewReload(s.text, &Script{Text: s.text})
		if err != nil {
			t.Fatal(err)
		}
		if text := r.Script(nil).Text; bytes.Count(text, []byte("\n")) != 1 {
			t.Errorf("%s over itself:\n%s", s.name, text)
		}
	}
}
