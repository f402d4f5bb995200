package ruleset

import (
	"maps"
	"net/netip"
	"slices"

	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// A linked is a script with all that it follows from: the farms, and the state of the machine.
type linked struct {
	farms  []*farm.Farm
	absent map[string]bool // by interface, of the ones that were asked for
	ports  []uint16        // that the machine serves on
	asked  bool            // ports were asked for
	idle   map[string]int  // the machine's timeouts; nil: they were not asked for

	addresses []netip.Addr // of the machine
	located   bool         // addresses were asked for

	clients farm.Ports // that the kernel gives to clients of the machine

	script *Script // nil: there were faults
	told   diag.Diagnostics

	state    *linkState     // of the script, or of the last one without faults; nil: not known
	portable *portableRules // of the script; nil: none, or another script was made of them
}

// recording gives a machine with the same answers, which are recorded. The result of routes is in the script.
func (l *linked) recording(m Machine) Machine {
	out := m
	if m.Absent != nil {
		out.Absent = func(device string) bool {
			l.absent[device] = m.Absent(device)
			return l.absent[device]
		}
	}
	if m.Ports != nil {
		out.Ports = func() []uint16 {
			l.ports, l.asked = m.Ports(), true
			return l.ports
		}
	}
	if m.Addresses != nil {
		out.Addresses = func() []netip.Addr {
			l.addresses, l.located = m.Addresses(), true
			return l.addresses
		}
	}
	if m.Timeouts != nil {
		out.Timeouts = func() map[string]int {
			l.idle = m.Timeouts()
			return l.idle
		}
	}
	return out
}

// holds reports whether the script is that of the farms for a machine of the same kind, which is asked the same
// questions again.
func (l *linked) holds(farms []*farm.Farm, m Machine) bool {
	if l.script == nil || !slices.Equal(l.farms, farms) {
		return false
	}
	for device, absent := range l.absent {
		if m.Absent(device) != absent {
			return false
		}
	}
	if l.asked && !slices.Equal(m.Ports(), l.ports) {
		return false
	}
	if l.located && !slices.Equal(m.Addresses(), l.addresses) {
		return false
	}
	if l.idle != nil && !l.sameTimeouts(m) {
		return false
	}
	return m.Route == nil || slices.Equal(l.script.routes.find(m), l.script.Sources)
}

// sameTimeouts reports whether a machine has the timeouts that the script was made with.
func (l *linked) sameTimeouts(m Machine) bool {
	return (l.idle == nil) == (m.Timeouts == nil) && (l.idle == nil || maps.Equal(m.Timeouts(), l.idle))
}

// A machineKind is the questions that a machine has answers to, and the ports of its clients.
type machineKind struct {
	absent, routes, ports, timeouts, addresses bool

	clients farm.Ports
}

func kindOf(m Machine) machineKind {
	return machineKind{m.Absent != nil, m.Route != nil, m.Ports != nil, m.Timeouts != nil, m.Addresses != nil,
		m.clientPorts()}
}
