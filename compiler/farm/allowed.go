package farm

import (
	"fmt"
	"slices"
	"strings"

	"farmc/compiler/toml"
)

// checkAllowed refuses keys that have no effect in the farm's mode: a key that is silently ignored is the worst of
// faults.
func checkAllowed(t *toml.Table, f *Farm) {
	if f.Mode == "" { // a fault of its own
		return
	}
	connects := f.Scheduler == LeastConnections || !f.PerPacket && (f.Scheduler == Random || f.Scheduler == RoundRobin)
	if f.Mode.Untracked() && connects {
		hint := `scheduler = "maglev"`
		if f.PerPacket {
			hint = `scheduler = "random"`
		}
		t.Fault(t.At("scheduler"), hint,
			"the scheduler %s needs connection tracking, and %s has none", f.Scheduler, f.Mode)
	}
	for _, table := range farmTables {
		in := t
		if table.name != "" {
			in = t.Sub(table.name)
		}
		checkModes(in, f.Mode, table.keys)
	}
	if f.Mode == Local {
		f.Backends = nil // the key backends is a fault
		return
	}
	for _, b := range t.Subs("backends") {
		checkModes(b, f.Mode, backendKeys)
	}
}

func checkModes[T any](t *toml.Table, mode Mode, keys []key[T]) {
	for i := range keys {
		k := &keys[i].Key
		if t != nil && k.Modes != nil && t.Has(k.Name) && !k.worksIn(mode) {
			t.Fault(t.At(k.Name), whyNot(mode, k.Modes), "%s has no effect in mode %s", k.Name, mode)
		}
	}
}

func whyNot(m Mode, modes []Mode) string {
	if (m == DSR || m == Stateless) && !slices.Contains(modes, Stateless) && !slices.Contains(modes, DSR) &&
		slices.Contains(modes, DNAT) {
		return fmt.Sprintf("it needs connection tracking, and %s has none", m)
	}
	return "it works in mode " + strings.Join(texts(modes), ", ")
}
