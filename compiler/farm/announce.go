package farm

import (
	"cmp"
	"net/netip"
	"slices"

	"farmc/compiler/addr"
	"farmc/compiler/toml"
)

// An Announce says in which states of the farm routing daemons announce its addresses.
type Announce string

// The values of the key announce.
const (
	NotAnnounced   Announce = ""       // false: other routers know a way to the addresses
	WhileServing   Announce = "true"   // while the farm is up and a backend takes connections
	WithoutBackend Announce = "always" // while the farm is up
)

// readAnnounce reads true, false or "always".
func readAnnounce(t *toml.Table, f *Farm) {
	v, _ := t.Raw("announce")
	if _, isText := v.Data.(string); isText {
		f.Announce = Announce(t.Choice("announce", "", string(WithoutBackend)))
		return
	}
	if t.Flag("announce", false) {
		f.Announce = WhileServing
	}
}

// validateAnnounce reports farms that several machines would serve differently. A router sends packets of a connection
// to any of the machines that announce its address.
func validateAnnounce(t *toml.Table, f *Farm) {
	if f.Announce == NotAnnounced {
		return
	}
	announcesNothing(t, f)
	if f.Mode.Untracked() {
		alikeEverywhere(t, f)
	}
	if f.Tracked() {
		t.WarnWithHint(t.At("announce"), `mode = "dsr" or "stateless", or one machine for each address`,
			"announce: connections of mode %s end when a router sends them to another machine", f.Mode)
	}
}

// announcesNothing reports entries of listen that name no address to announce.
func announcesNothing(t *toml.Table, f *Farm) {
	for _, l := range f.Listen {
		if !l.Address.IsValid() {
			t.Fault(l.Place, "name the addresses in listen",
				"announce: listen names no address that a router can be told of")
			return
		}
	}
	if len(f.Listen) > 0 && !slices.ContainsFunc(f.Listen, Listen.announced) {
		t.Fault(t.At("announce"), "a port or /all in listen",
			"announce: single protocols of an address are not announced, and listen has nothing else")
	}
}

// alikeEverywhere reports choices of a backend that differ between machines.
func alikeEverywhere(t *toml.Table, f *Farm) {
	if f.Scheduler == SymmetricHash {
		t.Fault(t.At("scheduler"), `scheduler = "maglev"`,
			"announce: symmetric-hash gives another backend on each machine")
	}
	keys := [...]HashKey{SourceMAC, DestinationMAC}
	for _, key := range keys {
		if slices.Contains(f.HashOn, key) {
			t.Fault(t.At("hash-on"), `hash-on = ["source-address"]`, "announce: %s differs between machines", key)
		}
	}
	if len(f.Hosts) > 0 {
		t.Warn(t.At("announce"), "announce: machines can get different addresses of %s from DNS, "+
			"and then choose other backends", f.Hosts[0].Name)
	}
}

// announced reports whether routers can send all packets of the entry's addresses here.
func (l Listen) announced() bool { return l.Address.IsValid() && (l.Whole() || !l.Portless()) }

// Announced gives the addresses and networks that the farm announces now, sorted.
func (f *Farm) Announced() []netip.Prefix {
	if f.Announce == NotAnnounced || f.Down || f.CutOff() {
		return nil
	}
	var out []netip.Prefix
	for _, l := range f.Listen {
		if l.announced() && f.announces(l.Families[0]) {
			out = append(out, l.Network())
		}
	}
	slices.SortFunc(out, comparePrefixes)
	return slices.Compact(out)
}

// CutOff reports whether none of the farm's interfaces exists, so that it takes no packets.
func (f *Farm) CutOff() bool { return len(f.Interfaces) > 0 && len(f.absent) == len(f.Interfaces) }

// announces reports whether the farm announces its addresses of a family.
func (f *Farm) announces(family addr.Family) bool {
	return f.Announce == WithoutBackend || f.Mode == Local || len(f.Serving(family)) > 0
}

func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}
