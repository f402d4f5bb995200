package ruleset

import (
	"slices"

	"farmc/compiler/diag"
)

// offloadHook puts established connections into the flow table.
var offloadHook = baseChain{name: "forward", section: flowtableSection, prefix: "offload-"}

// A flowtable is the short cut of established connections between its devices: one for all farms, as the kernel takes
// no device in two.
type flowtable struct {
	Devices []string
	Origin  *diag.Origin // of the first farm that asks for it
}

// offload dispatches the established connections of farms with flow-offload to the flow table.
func (l *linker) offload(established []frontend) {
	l.dispatch(offloadHook, established, func(d frontend) verdict {
		if len(d.farm.FlowOffload) == 0 {
			return noVerdict
		}
		f := l.flowtable(d)
		f.Devices = append(f.Devices, d.farm.FlowOffload...)
		slices.Sort(f.Devices)
		f.Devices = slices.Compact(f.Devices)
		return goTo("flow-offload")
	})
}

// flowtable gives the flow table, with the chain that fills it.
func (l *linker) flowtable(d frontend) *flowtable {
	o := &object{table: Inet, kind: KindFlowtable, Name: "farms", section: flowtableSection, template: "flowtable"}
	o.origin = d.farm.Origin("flow-offload")
	f := obtain(&l.rules, o, func() *flowtable { return &flowtable{Origin: o.origin} })
	l.rules.add(newChain("flow-offload", flowtableSection, "flow-offload").with(f))
	return f
}
