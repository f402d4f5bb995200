package farm

import (
	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// Clients of a loopback address are programs of this machine. NAT can send their connections to another machine: the
// kernel routes packets from 127.0.0.0/8 out of an interface with the parameter route_localnet (the preflight looks for
// it), and the source becomes an address of this machine. IPv6 has no such parameter.

// validateLoopback reports loopback addresses of farms that cannot serve them.
func validateLoopback(t *toml.Table, f *Farm) {
	for _, l := range f.Listen {
		switch a := l.Address; {
		case !a.IsLoopback():
		case a.Is6():
			t.Fault(l.Place, `"127.0.0.1:80"`,
				"listen: the kernel sends no packets of connections to the loopback address %s to another machine", a)
		case f.Mode.Untracked():
			t.Fault(l.Place, `mode = "snat"`,
				"listen: mode %s serves packets of other machines, which do not have the loopback address %s",
				f.Mode, a)
		case l.Portless():
			t.Fault(l.Place, `"127.0.0.1:80"`, "listen: a loopback address needs ports")
		case f.Zone != 0:
			t.FaultWithNote(l.Place, diag.Note{Place: t.At("zone"), Message: "here"}, "listen: %s can't be had with "+
				"zone: connections to a loopback address are of this machine, so they are in no zone", a)
		case !f.LocalClients:
			t.Fault(l.Place, "local-clients = true", "listen: connections to the loopback address %s are of this "+
				"machine, which the farm does not serve", a)
		case f.Announce != NotAnnounced:
			t.Fault(l.Place, "", "announce: %s is a loopback address, which each machine has", a)
		}
	}
}
