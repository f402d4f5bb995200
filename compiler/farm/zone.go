package farm

import (
	"maps"
	"slices"

	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// validateZone reports a zone without interfaces, and keys about connections that do not come in by them.
func validateZone(t *toml.Table, f *Farm) {
	if f.Zone == 0 {
		return
	}
	if len(f.Interfaces) == 0 {
		t.Fault(t.At("zone"), `interfaces = ["eth1"]`, "zone: needs interfaces: the zone is that of their packets")
	}
	refuse := func(in *toml.Table, key, why string) {
		t.FaultWithNote(in.At(key), diag.Note{Place: t.At("zone"), Message: "here"}, "%s: can't be had with zone: %s",
			key, why)
	}
	for _, other := range []struct{ key, why string }{
		{"helper", "the connections that a helper expects come from backends, which are in no zone"},
		{"outgoing", "connections of backends are in no zone"},
		{"flow-offload", "a flow table does not know zones"},
	} {
		if t.Has(other.key) {
			refuse(t, other.key, other.why)
		}
	}
	if f.LocalClients && t.Has("local-clients") {
		refuse(t, "local-clients", "connections of this machine come in by no interface, so they are in no zone")
	}
	if f.Limits.Synproxy.On {
		refuse(t.Sub("limits"), "synproxy", "this machine opens the connections to backends, which are in no zone")
	}
}

// ZoneConflicts reports interfaces that are in two zones. The farms have zones, and are in the order of their names.
func ZoneConflicts(farms []*Farm, faults *diag.Diagnostics) {
	first := map[string]*Farm{}
	for _, f := range farms {
		for _, device := range f.Interfaces {
			before := first[device]
			switch {
			case before == nil:
				first[device] = f
			case before.Zone != f.Zone:
				*faults = append(*faults, zoneConflict(device, before, f))
			}
		}
	}
}

func zoneConflict(device string, a, b *Farm) diag.Diagnostic {
	const hint = "all packets of an interface are in one zone"
	d := diag.Diagnostic{Farm: b.Name, Place: b.at("zone"), Hint: hint,
		Also: []diag.Note{{Place: a.at("zone"), Message: "farm " + a.Name + " has the other zone"}}}
	d.Message = "zone: the interface " + device + " is in another zone by farm " + a.Name
	return d
}

// ZonesOfSynproxy reports zones of interfaces from which other farms take connections with synproxy. The farms are in
// the order of their names.
func ZonesOfSynproxy(zoned, synproxied []*Farm, faults *diag.Diagnostics) {
	for _, f := range zoned {
		for _, other := range synproxied {
			if device, ok := f.sharesInterface(other); ok {
				*faults = append(*faults, zoneOfSynproxy(device, f, other))
				break
			}
		}
	}
}

// sharesInterface gives an interface of the farm from which another farm takes packets, too.
func (f *Farm) sharesInterface(other *Farm) (device string, ok bool) {
	for _, device := range f.Interfaces {
		if len(other.Interfaces) == 0 || slices.Contains(other.Interfaces, device) {
			return device, true
		}
	}
	return "", false
}

func zoneOfSynproxy(device string, zoned, other *Farm) diag.Diagnostic {
	d := diag.Diagnostic{Farm: zoned.Name, Place: zoned.at("zone"),
		Hint: "give farm " + other.Name + " interfaces without those of a zone",
		Also: []diag.Note{{Place: other.at("limits.synproxy"), Message: "farm " + other.Name + " has synproxy"}}}
	d.Message = "zone: farm " + other.Name + " takes connections from " + device +
		" with synproxy: this machine opens the connections to backends, which are in no zone"
	return d
}

// byZone gives the frontends that can have packets in common: those of each zone with those of none.
func byZone(all []Frontend) (out [][]Frontend) {
	zones := map[int]bool{}
	for i := range all {
		zones[all[i].Farm.Zone] = true
	}
	if len(zones) < 2 {
		return [][]Frontend{all}
	}
	zones[0] = true
	for _, zone := range slices.Sorted(maps.Keys(zones)) {
		out = append(out, slices.DeleteFunc(slices.Clone(all), func(d Frontend) bool {
			return d.Farm.Zone != 0 && d.Farm.Zone != zone
		}))
	}
	return out
}
