package ruleset

import (
	"net/netip"

	"farmc/compiler/farm"
)

// A Machine is the state of a machine that rules depend on. The zero Machine stands for any machine: it has all
// interfaces, and its routes and services are not known.
type Machine struct {
	Absent func(device string) bool       // reports whether an interface does not exist; nil: all exist
	Route  func(backend netip.Addr) Route // nil: routes are not known; it is asked several times for a backend
	Ports  func() []uint16                // that programs of the machine serve on, in order; nil: not known

	// Timeouts gives the seconds after which the machine forgets idle TCP connections, by nft's names of their states;
	// nil: not known
	Timeouts func() map[string]int

	// Machines of one version have the same routes, so that these are not asked for again. 0: they may differ.
	RouteVersion uint64

	// Addresses gives the addresses that the machine has, but for loopback, in order; nil, or none: they are not known
	Addresses func() []netip.Addr

	ClientPorts farm.Ports // that the kernel gives to clients of the machine; zero: not known
}

// A Route is a machine's route to a backend.
type Route struct {
	Interface string
	Source    netip.Addr // that the route names; not valid: none that the machine keeps
}

func (m Machine) absent(device string) bool { return m.Absent != nil && m.Absent(device) }

// clientPorts are the ports that the kernel gives to clients, by default where they are not known.
func (m Machine) clientPorts() farm.Ports {
	if m.ClientPorts == (farm.Ports{}) {
		return defaultClientPorts
	}
	return m.ClientPorts
}
