package farm

import (
	"slices"

	"farmc/compiler/toml"
)

// validatePerPacket reports keys that need the datagrams of a client to reach one backend.
func validatePerPacket(t *toml.Table, f *Farm) {
	if !f.PerPacket || !f.Mode.Untracked() {
		return
	}
	if f.Scheduler.Deterministic() {
		t.Fault(t.At("scheduler"), `scheduler = "random" or "round-robin"`,
			"per-packet: the scheduler %s gives all datagrams of a client the same backend", f.Scheduler)
	}
	if f.Persistence != nil {
		t.Fault(t.At("persistence"), "",
			"per-packet: can't be had with persistence, which keeps a client with its backend")
	}
	if f.Announce != NotAnnounced {
		t.Fault(t.At("announce"), "", "per-packet: can't be had with announce: replies must return to the same machine")
	}
	for _, l := range f.Listen {
		if !slices.Equal(l.Protocols, []Protocol{UDP}) {
			t.Fault(l.Place, `"192.0.2.10:53/udp", and a farm of its own for other protocols`,
				`per-packet: listen "%s" has packets other than datagrams of udp`, l)
		}
	}
}
