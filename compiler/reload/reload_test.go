package reload

import (
	"bytes"
	"testing"

	"farmc/compiler/internal/compilertest"
	"farmc/compiler/ruleset"
)

// TestGoldenReload compiles the cases that hold farms as they were and as they are, in the directories before and
// after, and writes the reload.nft that leads from the one to the other. Its counts are made up: the first element that
// goes has counted 1 packet of 100 bytes, the next one 2, ...
func TestGoldenReload(t *testing.T) {
	for _, name := range compilertest.ReloadCases(t) {
		t.Run(name, func(t *testing.T) {
			before, after := compilertest.ReloadCase(t, name)
			compilertest.Golden(t, name, "reload.nft", reloadBetween(t, before, after).Text)
		})
	}
}

func reloadBetween(t testing.TB, before, after *ruleset.Script) *ruleset.Script {
	t.Helper()
	r, err := New(before.Text, after)
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
	for _, s := range compilertest.GoldenScripts(t) {
		found, err := readInventory(string(s.Text))
		if err != nil {
			t.Errorf("%s: %v", s.Name, err)
			continue
		}
		expected, err := compilertest.ReadScript(string(s.Text))
		if err != nil {
			t.Fatal(err)
		}
		for family, table := range found {
			for _, o := range table.objects {
				if o.isDynamic() && o.takesNoRule() {
					t.Errorf(
						"%s: %s is forgotten with each rule that is added on it: declare it by types",
						s.Name,
						o.Name,
					)
				}
			}
			prefix := map[ruleset.TableFamily]string{ruleset.Inet: "", ruleset.Netdev: "netdev "}[family]
			for _, o := range table.objects {
				switch {
				case o.isSet():
					want := expected.Maps[prefix+o.Name]
					if o.size() != len(want.Elements) {
						t.Errorf("%s: %s has %d elements, found %d", s.Name, o.Name, len(want.Elements), o.size())
					}
					for i, e := range o.elements() {
						if w := want.Elements[i]; elementKey(e) != w.Key || elementValue(e) != w.Value {
							t.Errorf(
								"%s: %s: read %q as %q and %q",
								s.Name,
								o.Name,
								e.Text,
								elementKey(e),
								elementValue(e),
							)
						}
					}
					delete(expected.Maps, prefix+o.Name)
				case o.Kind == "chain":
					if want := expected.Chains[prefix+o.Name]; len(o.Rules)+len(o.About) != len(want) {
						t.Errorf("%s: %s has %d lines, found %d", s.Name, o.Name, len(want), len(o.Rules)+len(o.About))
					}
					delete(expected.Chains, prefix+o.Name)
				}
			}
		}
		if len(expected.Maps)+len(expected.Chains) > 0 {
			t.Errorf("%s: not found: %v %v", s.Name, expected.Maps, expected.Chains)
		}
	}
}

// TestReloadOfTheSame: there is nothing to do.
func TestReloadOfTheSame(t *testing.T) {
	for _, s := range compilertest.GoldenScripts(t) {
		r, err := New(s.Text, &ruleset.Script{Text: s.Text})
		if err != nil {
			t.Fatal(err)
		}
		if text := r.Script(nil).Text; bytes.Count(text, []byte("\n")) != 1 {
			t.Errorf("%s over itself:\n%s", s.Name, text)
		}
	}
}
