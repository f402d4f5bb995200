package ruleset

import (
	"fmt"
	"testing"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// moved returns the share of slots, in percent, that have another backend than before.
func moved(before, after []string) float64 {
	n := 0
	for slot := range before {
		if before[slot] != after[slot] {
			n++
		}
	}
	return 100 * float64(n) / float64(len(before))
}

// owners returns the backend of each of many hashes. One of four backends of equal weight has other keys.
func owners(t *testing.T, scheduler, health, keys string) (out []string) {
	t.Helper()
	text := fmt.Sprintf("listen = \"192.0.2.10:80\"\nscheduler = %q\n%s\n", scheduler, health)
	for i := range 4 {
		text += fmt.Sprintf("backends.b%d.address = \"10.0.0.1%[1]d\"\n", i)
	}
	f := farm.ReadText("web", []byte(text+keys), nil).Farm()
	a := newService(f).newAssignment(addr.IP4)
	const hashes = 10000
	for i := range hashes {
		out = append(out, a.serving[a.slots[i*len(a.slots)/hashes]].Name)
	}
	return out
}

// Each step of a slow start moves few clients, with each scheduler that a client's packets choose a backend by. So does
// the failure of a backend. Without a slow start, hash has as few slots as the weights need.
func TestSlowStartMovesFewSlots(t *testing.T) {
	const slow, fast = "health = { type = \"tcp\", slow-start = \"1m\" }", "health.type = \"tcp\""
	states := []string{"", "backends.b3.state = \"down\"", "backends.b3.state = \"drain\""}
	for percent := 10; percent <= 100; percent += 10 {
		states = append(states, fmt.Sprintf("backends.b3.weight-percent = %d", percent))
	}
	for _, scheduler := range []string{"hash", "symmetric-hash", "maglev"} {
		before := owners(t, scheduler, slow, states[0])
		for i, state := range states[1:] {
			after := owners(t, scheduler, slow, state)
			most := 4.0
			if i == 0 {
				most = 27 // the slots of the backend that fails, and few others
			}
			share := moved(before, after)
			t.Logf("%s, %s: %.1f %% of the slots move", scheduler, state, share)
			if share > most {
				t.Errorf("%s, %s: more than %.0f %% move", scheduler, state, most)
			}
			before = after
		}
	}
	share := moved(owners(t, "hash", fast, states[3]), owners(t, "hash", fast, states[4]))
	t.Logf("hash without slow-start: %.1f %% of the slots move", share)
	if share < 20 {
		t.Error("the farm without slow-start has a table of maglev")
	}
}
