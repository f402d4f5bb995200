package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestDearerPacketsAreErrors(t *testing.T) {
	expected := []ratio{{"IPv4", "new", "dnat", 1.1}, {"IPv6", "new", "dnat", 1.2}, {"IPv4", "new", "dsr", 1.3}}
	for _, c := range []struct {
		name string
		got  []ratio
		only string
		want string // "": no error
	}{
		{"the same", expected, "", ""},
		{"within the tolerance",
			[]ratio{{"IPv4", "new", "dnat", 1.1109}, {"IPv6", "new", "dnat", 1.1881}, expected[2]}, "", ""},
		{"dearer", []ratio{expected[0], {"IPv6", "new", "dnat", 1.2125}, expected[2]}, "",
			"IPv6 new dnat costs 1.0 % more: 1.2125 of the rules by hand, not 1.2000"},
		{"cheaper", []ratio{expected[0], {"IPv6", "new", "dnat", 1.0}, expected[2]}, "", ""},
		{"new", append(slices.Clone(expected), ratio{"IPv4", "reply", "dnat", 1}), "",
			"IPv4 reply dnat has no expected ratio"},
		{"not measured", expected[:2], "", "IPv4 new dsr is expected, and not measured"},
		{"not selected", expected[:2], "dnat", ""},
	} {
		err := compare(expected, c.got, c.only)
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: got the error %v, want %q", c.name, err, c.want)
		}
	}
}

// Packets that seem dearer are measured again, and the lowest cost counts.
func TestLowestCostCounts(t *testing.T) {
	p := &packetBench{byHand: map[string]cost4{"IPv4": {100, 100, 100}}}
	k, expected := packetKinds[0], []ratio{{"IPv4", "reply", packetKinds[0].name, 1.5}}
	p.note(k, "IPv4", cost4{200, 152, 300})
	if dear := dearer(expected, p.ratios()); !slices.Equal(dear, []string{k.name}) {
		t.Errorf("152 instead of 150: %q seem dearer", dear)
	}
	p.note(k, "IPv4", cost4{210, 151, 290})
	if dear := dearer(expected, p.ratios()); dear != nil || p.costs[0].cost4 != (cost4{200, 151, 290}) {
		t.Errorf("then 151: %q seem dearer, and the costs are %v", dear, p.costs)
	}
}

func TestRatiosAreReadAsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ratios.txt")
	want := []ratio{{"IPv4", "new", `dnat, invalid = "drop"`, 1.1}, {"IPv6", "established", "dsr, hash", 0.25}}
	if err := writeRatios(path, "6.1", want); err != nil {
		t.Fatal(err)
	}
	got, err := readRatios(path)
	if err != nil || got.kernel != "6.1" || !slices.Equal(got.ratios, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if err := os.WriteFile(path, []byte("1.0 IPv4\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readRatios(path); err == nil {
		t.Error("a line with two words is read")
	}
}
