package compiler

import (
	"fmt"
	"slices"
	"strings"
)

// A restriction says in which modes a key has an effect, and of which it is known that it does not work yet.
type restriction struct {
	key   string
	modes []Mode
	later bool
}

var (
	everyMode = []Mode{SNAT, DNAT, DSR, Stateless, Local}
	balancing = []Mode{SNAT, DNAT, DSR, Stateless}
	tracked   = []Mode{SNAT, DNAT}
	counting  = []Mode{SNAT, DNAT, Local}
	frames    = []Mode{DSR, Stateless}
)

// farmRestrictions are of the farm's keys, the others of what the keys in [limits] and the backends' do. A key that is not listed has an
// effect in every mode.
var farmRestrictions = []restriction{
	{"scheduler", balancing, false},
	{"hash-on", balancing, false},
	{"table-size", balancing, false},
	{"interfaces", everyMode, false},
	{"source-address", []Mode{SNAT}, false},
	{"local-clients", tracked, false},
	{"flow-offload", tracked, false},
	{"helper", tracked, false},
	{"mark", tracked, false},
	{"queue", counting, false},
	{"persistence", []Mode{SNAT, DNAT, DSR}, false},
	{"access", everyMode, false},
	{"limits", everyMode, false},
	{"log", everyMode, false},
	{"backends", balancing, false},
}

var limitRestrictions = []restriction{
	{"new-per-client", counting, false},
	{"connections-per-client", counting, false},
	{"new", counting, false},
	{"connections", counting, false},
}

var backendRestrictions = []restriction{
	{"port", []Mode{SNAT, DNAT, Stateless}, false},
	{"priority", balancing, false},
	{"source-address", []Mode{SNAT}, false},
	{"connections", tracked, false},
	{"mark", tracked, false},
	{"interface", frames, false},
	{"mac", []Mode{DSR}, false},
}

// effective refuses keys that do nothing: a key that is silently ignored is the worst of faults.
func effective(t *table, f *Farm) {
	if f.Mode == "" { // a fault of its own
		return
	}
	if slices.Contains(frames, f.Mode) && (f.Scheduler == Random || f.Scheduler == RoundRobin) {
		t.fault(t.at("scheduler"), `scheduler = "maglev"`, "the scheduler %s needs connection tracking, and %s has none", f.Scheduler, f.Mode)
	}
	restrict(t, f, farmRestrictions)
	if limits := t.sub("limits"); limits != nil {
		restrict(limits, f, limitRestrictions)
	}
	if f.Mode == Local {
		f.Backends = nil // which was told
		return
	}
	for _, b := range t.subs("backends") {
		restrict(b, f, backendRestrictions)
	}
}

func restrict(t *table, f *Farm, restrictions []restriction) {
	for _, r := range restrictions {
		switch {
		case !t.has(r.key):
		case !slices.Contains(r.modes, f.Mode):
			t.fault(t.at(r.key), whyNot(f.Mode, r.modes), "%s has no effect in mode %s", r.key, f.Mode)
		case r.later:
			t.fault(t.at(r.key), "", "%s is not supported yet", r.key)
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
