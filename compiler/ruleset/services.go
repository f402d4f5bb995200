package ruleset

import (
	"runtime"

	"golang.org/x/sync/errgroup"

	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// Services keeps the rendered elements of each farm from one script to the next. The zero Services is empty. It is not
// for use by several goroutines at once.
type Services struct{ known map[*farm.Farm]*service }

// Link makes the script of the farms, which are in the order of their names. Rules that depend on an absent interface
// are left out, with a warning. There is no script if there are faults, in the farms or between them.
func (s *Services) Link(farms []*farm.Farm, machine Machine, faults *diag.Diagnostics) *Script {
	services := s.of(farms)
	for i, svc := range services {
		services[i] = svc.without(machine.absent, faults)
	}
	if !faults.Faulty() {
		prepare(services)
	}
	script := link(services, machine, faults)
	if script == nil {
		return nil
	}
	for _, svc := range services {
		script.Farms = append(script.Farms, svc.Farm)
	}
	return script
}

// of gives the services of the farms, and forgets the services of other farms.
func (s *Services) of(farms []*farm.Farm) []*service {
	now := make(map[*farm.Farm]*service, len(farms))
	out := make([]*service, len(farms))
	for i, f := range farms {
		if out[i] = s.known[f]; out[i] == nil {
			out[i] = newService(f)
		}
		now[f] = out[i]
	}
	s.known = now
	return out
}

// prepare renders the elements that nearly every script needs, on all processors.
func prepare(services []*service) {
	var calls errgroup.Group
	calls.SetLimit(runtime.GOMAXPROCS(0))
	for _, s := range services {
		if s.prepared {
			continue
		}
		calls.Go(func() error {
			s.prepare()
			return nil
		})
	}
	_ = calls.Wait() // no call returns an error
}
