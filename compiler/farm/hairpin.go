package farm

import (
	"net/netip"
	"slices"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// maxHairpins is the largest number of networks in hairpin: each is a rule.
const maxHairpins = 16

const hairpinHint = `the networks of the backends: hairpin = ["10.2.0.0/24", "fd00:2::/64"]`

// readHairpin reads the networks of backends, whose machines may be clients, too.
func readHairpin(t *toml.Table, f *Farm) {
	if v, ok := t.Raw("hairpin"); ok {
		if _, flag := v.Data.(bool); flag { // a network that follows from an interface would differ between machines
			t.Fault(v.Place, hairpinHint, "hairpin is true or false, not a list of networks")
			return
		}
	}
	for _, w := range t.Words("hairpin") {
		p, err := netip.ParsePrefix(w.Text)
		p = p.Masked()
		switch same := func(o netip.Prefix) bool { return o.Overlaps(p) }; {
		case err != nil || p.Addr().Is4In6():
			t.Fault(w.Place, hairpinHint, "hairpin: %q is not a network", w.Text)
		case slices.ContainsFunc(f.Hairpin, same):
			t.Fault(w.Place, "", "hairpin: %s overlaps another network", p)
		case len(f.Hairpin) == maxHairpins:
			t.Fault(w.Place, "", "hairpin: more than %d networks", maxHairpins)
		default:
			f.Hairpin = append(f.Hairpin, p)
		}
	}
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
