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

// allFlows puts all established connections into the flow table, also those of other programs: no lookup tells them
// apart.
type allFlows struct{ Origin *diag.Origin }

// offload has connections of farms with flow-offload put into the flow table once they are established; those of all
// programs if a farm says so.
func (l *linker) offload(tracked, established []frontend) {
	if l.offloadAll(tracked) {
		return
	}
	l.dispatch(offloadHook, established, func(d frontend) verdict {
		if len(d.farm.FlowOffload) == 0 {
			return noVerdict
		}
		l.rules.add(newChain("flow-offload", flowtableSection, "flow-offload").with(l.flowtable(d)))
		return goTo("flow-offload")
	})
}

// offloadAll puts all connections into the flow table, with the interfaces of all farms. It reports whether a farm says
// so.
func (l *linker) offloadAll(tracked []frontend) bool {
	i := slices.IndexFunc(tracked, func(d frontend) bool { return d.farm.OffloadAll && len(d.farm.FlowOffload) > 0 })
	if i < 0 {
		return false
	}
	for _, d := range tracked {
		if len(d.farm.FlowOffload) > 0 {
			l.flowtable(d)
		}
	}
	l.rules.add(newChain(offloadHook.name, flowtableSection, "offload-all").
		with(allFlows{tracked[i].farm.Origin("flow-offload-all")}))
	return true
}

// flowtable gives the flow table, with the interfaces of the frontend's farm.
func (l *linker) flowtable(d frontend) *flowtable {
	o := &object{table: Inet, kind: KindFlowtable, Name: "farms", section: flowtableSection, template: "flowtable"}
	o.origin = d.farm.Origin("flow-offload")
	f := obtain(&l.rules, o, func() *flowtable { return &flowtable{Origin: o.origin} })
	f.Devices = append(f.Devices, d.farm.FlowOffload...)
	slices.Sort(f.Devices)
	f.Devices = slices.Compact(f.Devices)
	return f
}
