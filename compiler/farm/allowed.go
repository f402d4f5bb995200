package farm

import (
	"fmt"
	"slices"
	"strings"

	"farmc/compiler/toml"
)

// A restriction says in which modes a key has an effect.
type restriction struct {
	key   string
	modes []Mode
}

var (
	everyMode = []Mode{SNAT, DNAT, DSR, Stateless, Local}
	balancing = []Mode{SNAT, DNAT, DSR, Stateless}
	tracked   = []Mode{SNAT, DNAT}
	counting  = []Mode{SNAT, DNAT, Local}
	untracked = []Mode{DSR, Stateless}
)

// Tracked reports whether the farm's connections are tracked and translated.
func (f *Farm) Tracked() bool { return slices.Contains(tracked, f.Mode) }

// Untracked reports whether packets of the mode pass without connection tracking.
func (m Mode) Untracked() bool { return slices.Contains(untracked, m) }

// farmRestrictions are of the farm's keys, the others of what the keys in [limits] and the backends' do. A key that is not listed has an
// effect in every mode.
var farmRestrictions = []restriction{
	{"scheduler", balancing},
	{"hash-on", balancing},
	{"table-size", balancing},
	{"interfaces", everyMode},
	{"source-address", []Mode{SNAT}},
	{"local-clients", tracked},
	{"flow-offload", tracked},
	{"invalid", tracked},
	{"helper", tracked},
	{"mark", tracked},
	{"queue", counting},
	{"persistence", balancing},
	{"access", everyMode},
	{"limits", everyMode},
	{"log", everyMode},
	{"backends", balancing},
}

var limitRestrictions = []restriction{
	{"new-per-client", counting},
	{"connections-per-client", counting},
	{"new", counting},
	{"connections", counting},
}

var backendRestrictions = []restriction{
	{"port", []Mode{SNAT, DNAT, Stateless}},
	{"priority", balancing},
	{"source-address", []Mode{SNAT}},
	{"connections", tracked},
	{"mark", tracked},
	{"interface", untracked},
	{"mac", []Mode{DSR}},
}

// effective refuses keys that do nothing: a key that is silently ignored is the worst of faults.
func effective(t *toml.Table, f *Farm) {
	if f.Mode == "" { // a fault of its own
		return
	}
	if f.Mode.Untracked() && (f.Scheduler == Random || f.Scheduler == RoundRobin) {
		t.Fault(t.At("scheduler"), `scheduler = "maglev"`, "the scheduler %s needs connection tracking, and %s has none", f.Scheduler, f.Mode)
	}
	restrict(t, f, farmRestrictions)
	if limits := t.Sub("limits"); limits != nil {
		restrict(limits, f, limitRestrictions)
	}
	if f.Mode == Local {
		f.Backends = nil // which was told
		return
	}
	for _, b := range t.Subs("backends") {
		restrict(b, f, backendRestrictions)
	}
}

func restrict(t *toml.Table, f *Farm, restrictions []restriction) {
	for _, r := range restrictions {
		if t.Has(r.key) && !slices.Contains(r.modes, f.Mode) {
			t.Fault(t.At(r.key), whyNot(f.Mode, r.modes), "%s has no effect in mode %s", r.key, f.Mode)
		}
	}
}

func whyNot(m Mode, modes []Mode) string {
	if (m == DSR || m == Stateless) && !slices.Contains(modes, Stateless) && !slices.Contains(modes, DSR) && slices.Contains(modes, DNAT) {
		return fmt.Sprintf("it needs connection tracking, and %s has none", m)
	}
	var names []string
	for _, m := range modes {
		names = append(names, string(m))
	}
	return "it works in mode " + strings.Join(names, ", ")
}
