package farm

import (
	"net/netip"
	"strings"

	"farmc/compiler/toml"
)

// AddressName is the name of the backend for one address of a backend that has a hostname, such as app@10.0.0.11.
func AddressName(backend string, a netip.Addr) string { return backend + "@" + a.String() }

// SplitAddressName returns the two parts of an AddressName; false for another name.
func SplitAddressName(name string) (backend string, a netip.Addr, ok bool) {
	backend, text, _ := strings.Cut(name, "@")
	a, err := netip.ParseAddr(text)
	return backend, a, err == nil && IsName(backend) && a.Zone() == "" && AddressName(backend, a) == name
}

// addressKeys are the keys that drop-ins can set for one address of a hostname.
var addressKeys = []string{"weight", "state", "weight-percent"}

// takeAddressTables takes the tables of drop-ins about single addresses of hostnames out of the farm's table. The farm
// file can have none: an address of DNS can be gone at any time.
func takeAddressTables(t *toml.Table) (out []*toml.Table) {
	taken := map[string]bool{}
	for name, table := range t.Tables("backends") {
		if _, _, ok := SplitAddressName(name); ok && table.Place.File != t.Place.File {
			taken[name] = true
		}
	}
	if len(taken) == 0 {
		return nil
	}
	for _, table := range t.Subs("backends") {
		if taken[table.Name] {
			out = append(out, table)
		}
	}
	t.RemoveTables("backends", taken)
	return out
}

// setAddresses sets the keys of drop-ins for single addresses of hostnames. Backends are sorted. A table about an
// address that is not in the answer has no effect: the answer can have it again.
func (f *Farm) setAddresses(tables []*toml.Table) {
	for _, t := range tables {
		host, _, _ := SplitAddressName(t.Name)
		if f.HostOf(host) == nil {
			t.Warn(t.Place, "farm %s has no backend %q, so the table is ignored", f.Name, t.Name)
			continue
		}
		if b := backendNamed(f, t.Name); b != nil {
			b.setOwn(t)
		} else {
			new(Backend).setOwn(t)
		}
		t.FaultUnknown()
	}
}

// setOwn sets the keys of one address of a hostname.
func (b *Backend) setOwn(t *toml.Table) {
	for i := range backendKeys {
		k := &backendKeys[i]
		for _, name := range addressKeys {
			if k.Name == name && t.Has(name) {
				k.read(&k.Key, t, b)
			}
		}
	}
	if t.Has("state") && !b.NoWeight {
		b.StateAt = t.At("state")
	}
}
