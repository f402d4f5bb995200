package farm

import (
	"fmt"
	"net/netip"
	"slices"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// maxHairpins is the largest number of networks in hairpin: each is a rule.
const maxHairpins = 16

// hairpinKey is the networks of backends, whose machines may be clients, too. They do not follow from an interface, as
// they would differ between machines.
var hairpinKey = wordsKey[netip.Prefix]{
	name: "hairpin", things: "networks", most: maxHairpins,
	hint:  `the networks of the backends: hairpin = ["10.2.0.0/24", "fd00:2::/64"]`,
	parse: parseHairpin,
	same:  netip.Prefix.Overlaps, twice: "overlaps another network",
	order: func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) }, // they do not overlap
}

func readHairpin(t *toml.Table, f *Farm) { f.Hairpin = hairpinKey.read(t) }

func parseHairpin(word string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(word)
	if err != nil || p.Addr().Is4In6() {
		return p, fmt.Errorf("%q is not a network", word)
	}
	return p.Masked(), nil
}

func (f *Farm) hairpins() string { return listed(f.Hairpin) }

// HairpinOf gives the networks of a family.
func (f *Farm) HairpinOf(family addr.Family) []netip.Prefix {
	return slices.DeleteFunc(slices.Clone(f.Hairpin), func(p netip.Prefix) bool {
		return addr.FamilyOf(p.Addr()) != family
	})
}

// validateHairpin finds networks without a backend.
func validateHairpin(t *toml.Table, f *Farm) {
	for _, p := range f.Hairpin {
		family := addr.FamilyOf(p.Addr())
		holds := func(b Backend) bool { return b.Address.Has(family) && p.Contains(b.Address[family]) }
		if len(f.Backends) > 0 && !slices.ContainsFunc(f.Backends, holds) {
			t.FaultWithNote(t.At("hairpin"), diag.Note{Place: f.Backends[0].Place, Message: "the first backend"},
				"hairpin: no backend is in the network %s", p)
		}
	}
}
