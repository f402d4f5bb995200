package ruleset

import (
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/slots"
)

// Services keeps the rendered elements of each farm from one script to the next, and the last scripts. The zero
// Services is empty. It is not for use by several goroutines at once.
type Services struct {
	known   map[*farm.Farm]*service
	last    map[machineKind]*linked // the last script for the machine, and the last for its boot
	sockets socketCounts            // of the known services

	kinds map[string]int // of plain services, numbered from 1
	round int            // of links
}

// Link makes the script of the farms, which are in the order of their names. Rules that depend on an absent interface
// are left out, with a warning. There is no script if there are faults, in the farms or between them. The same farms
// have the same script again if the machine has the same state.
func (s *Services) Link(farms []*farm.Farm, machine Machine, faults *diag.Diagnostics) *Script {
	kind := kindOf(machine)
	if l := s.last[kind]; l != nil && !faults.Faulty() && l.holds(farms, machine) {
		*faults = append(*faults, l.told...)
		return l.script
	}
	l, before := &linked{farms: farms, absent: map[string]bool{}, clients: machine.clientPorts()}, len(*faults)
	if s.link(l, l.recording(machine), faults); l.script == nil && s.last[kind] != nil {
		l.state = s.last[kind].state
	}
	l.told = slices.Clone((*faults)[before:])
	if s.last == nil {
		s.last = map[machineKind]*linked{}
	}
	s.last[kind] = l
	return l.script
}

// link links the farms of l, which gets the result.
func (s *Services) link(l *linked, machine Machine, faults *diag.Diagnostics) {
	services := s.of(l.farms)
	for i, svc := range services {
		services[i] = svc.without(machine.absent, faults)
	}
	if !faults.Faulty() {
		prepare(services)
	}
	var from *linkState
	if last := s.last[kindOf(machine)]; last != nil {
		from = last.state
	}
	if s.linkServices(l, services, from, machine, faults); l.script == nil {
		return
	}
	l.script.complete = l.farms
	for _, svc := range services {
		l.script.Farms = append(l.script.Farms, svc.Farm)
	}
}

// LinkAgain makes the script of the same farms for another machine.
func (s *Services) LinkAgain(script *Script, machine Machine, faults *diag.Diagnostics) *Script {
	if again := s.relink(script, machine); again != nil {
		return again
	}
	return s.Link(script.complete, machine, faults)
}

// of gives the services of the farms, and forgets the services of other farms.
func (s *Services) of(farms []*farm.Farm) []*service {
	now := make(map[*farm.Farm]*service, len(farms))
	out := make([]*service, len(farms))
	var come, gone []*service
	for i, f := range farms {
		if out[i] = s.known[f]; out[i] == nil {
			out[i] = newService(f)
			come = append(come, out[i])
		}
		now[f] = out[i]
	}
	for f, of := range s.known {
		if now[f] == nil {
			gone = append(gone, of)
		}
	}
	s.known = now
	s.sockets.update(gone, come)
	return out
}

// prepare renders the elements that nearly every script needs, on all processors. It ends where there are too many
// slots, which is a fault of the script.
func prepare(services []*service) {
	var calls errgroup.Group
	calls.SetLimit(runtime.GOMAXPROCS(0))
	sum := 0
	for _, s := range services {
		if s.prepared {
			continue
		}
		if sum += s.sharedSlots(); sum > slots.Max {
			break
		}
		calls.Go(func() error {
			s.prepare()
			return nil
		})
	}
	_ = calls.Wait() // no call returns an error
}
