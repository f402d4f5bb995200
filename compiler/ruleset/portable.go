package ruleset

import (
	"maps"

	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// portableRules are the rules that follow from the farms and their interfaces alone, and not from the routes and
// services of the machine: all but source NAT. The script for the boot has the same ones as the script for the machine,
// so they are made once.
type portableRules struct {
	objects     map[objectID]*object
	established []frontend   // that sources are chosen for
	tracked     []frontend   // with all backends, whose own connections may get a source
	marked      []*farm.Farm // with sources of marked connections
	assignments map[farmFamily]*slotAssignment
	near        scriptSize // of the script for the machine
}

// script makes the script for a machine with the same interfaces.
func (p *portableRules) script(machine Machine) *Script {
	l := newLinker(machine, &diag.Diagnostics{})
	l.rules.objects, l.assignments, l.near = maps.Clone(p.objects), p.assignments, p.near
	l.translateSources(p)
	return l.script()
}

// relink makes the script of the same farms for another machine from the portable rules, which can be done once. It is
// nil if the farms depend on interfaces, or another difference of the machines concerns more than source NAT.
func (s *Services) relink(script *Script, machine Machine) *Script {
	of, kind := s.linkedTo(script), kindOf(machine)
	if of == nil || of.portable == nil || len(of.absent) > 0 || of.located || of.clients != machine.clientPorts() ||
		!of.sameTimeouts(machine) {
		return nil
	}
	if last := s.last[kind]; last != nil && last.holds(script.complete, machine) {
		return last.script
	}
	l := &linked{farms: script.complete, absent: map[string]bool{}, clients: of.clients, idle: of.idle}
	l.script = of.portable.script(l.recording(machine))
	l.script.complete, l.script.Farms = script.complete, script.Farms
	of.portable = nil
	s.last[kind] = l
	return l.script
}

// linkedTo gives the record of a script that was linked last for some machine; nil if there is none.
func (s *Services) linkedTo(script *Script) *linked {
	for _, l := range s.last {
		if l.script == script {
			return l
		}
	}
	return nil
}
