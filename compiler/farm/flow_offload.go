package farm

import (
	"fmt"

	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// validateOffloadAll reports flow-offload-all without the interfaces of a flow table.
func validateOffloadAll(t *toml.Table, f *Farm) {
	if f.OffloadAll && f.Tracked() && !t.Has("flow-offload") {
		t.Fault(t.At("flow-offload-all"), `flow-offload = ["eth0", "eth1"]`,
			"flow-offload-all: needs flow-offload: the interfaces of the flow table")
	}
}

// whyNotOffload gives the key of a farm that a flow table would break, and the reason; "" if it has none.
func (f *Farm) whyNotOffload() (key, why string) {
	switch {
	case !f.Tracked() || f.Down:
		return "", ""
	case len(f.MarkReplies) > 0:
		return "mark-replies", "a flow table routes replies without marks"
	case f.Zone != 0:
		return "zone", "a flow table does not know zones"
	case f.Persistence != nil && f.Persistence.Renew == RenewByPacket:
		return "persistence.renew", "no rule sees the packets of established connections"
	}
	return "", ""
}

// OffloadConcerns reports whether OffloadConflicts needs the farm.
func (f *Farm) OffloadConcerns() bool {
	key, _ := f.whyNotOffload()
	return key != "" || f.OffloadAll && !f.Down
}

// OffloadConflicts reports farms with flow-offload-all beside farms that a flow table would break. The farms are in the
// order of their names.
func OffloadConflicts(farms []*Farm, faults *diag.Diagnostics) {
	for _, f := range farms {
		if !f.OffloadAll {
			continue
		}
		for _, other := range farms {
			key, why := other.whyNotOffload()
			if key == "" {
				continue
			}
			*faults = append(*faults, diag.Diagnostic{Farm: f.Name, Place: f.at("flow-offload-all"),
				Message: fmt.Sprintf("flow-offload-all: takes connections of farm %s with %s, too: %s", other.Name, key,
					why),
				Hint: "flow-offload alone takes connections of this farm alone",
				Also: []diag.Note{{Place: other.at(key), Message: "farm " + other.Name}}})
		}
		return
	}
}
