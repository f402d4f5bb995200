package ruleset

import (
	"slices"

	"farmc/compiler/farm"
)

// A stateless farm with a gateway hands on requests and replies at the ingress of interfaces. There its rules take
// whole packets alone: no fragments, which the stack has to join first, and of TCP no SYN, as the stack tells both
// sides the size of segments that fits the routes (tcp option maxseg), counts connections and knows forged sources.
// These packets take the slow path: farmc's chains in prerouting and postrouting, as for a stateless farm without
// interfaces. Persistence has one table of clients, so its requests are all taken at ingress.

// slowPath gives the service that takes the slow path of the requests; nil if all of them are taken at ingress.
func (s *service) slowPath() *service {
	if s.Mode != farm.Stateless || len(s.Gateways) == 0 || len(s.ingressDevices) == 0 || s.Persistence != nil {
		return nil
	}
	slow := newService(s.Routed())
	slow.slowAt = s.ingressDevices
	return slow
}

// slowIngresses gives the base chains of slow paths, for the ingresses whose farms have one.
func slowIngresses(of []*ingress, served []frontend) (out []*ingress) {
	for _, in := range of {
		if len(in.Devices) > 0 && slices.ContainsFunc(served, func(d frontend) bool {
			return d.farm.slow != nil && in.takes(d.farm)
		}) {
			name := "slow/" + shortened(in.Devices, maxInterfacesName)
			out = append(out, &ingress{Name: name, Devices: in.Devices, Slow: true})
		}
	}
	return out
}

// slowPathAt gives the frontend on the slow path of its farm here; false if its farm has none here.
func (in *ingress) slowPathAt(d frontend) (frontend, bool) {
	slow := d.farm.slow
	if !in.Slow || slow == nil || !slices.Contains(slow.slowAt, in.Devices[0]) {
		return d, false
	}
	return slow.frontends[d.number], true
}

// addSlowPath adds the base chain of a slow path.
func (l *linker) addSlowPath(in *ingress) {
	l.only(in.Devices)
	l.rules.add(newChain(in.Name, statelessSection, "slow-path").with(in))
}
