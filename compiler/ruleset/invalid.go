package ruleset

import (
	"cmp"
	"net/netip"
	"slices"

	"farmc/compiler/farm"
)

// Conntrack calls a TCP segment beyond the window invalid, and NAT does not translate it. The machine that it reaches
// answers with a reset that fits, and the connection ends. So invalid segments are dropped: of clients to the services
// of farms, and of backends, which come to this machine's own address in mode snat, and are forwarded in mode dnat.

// invalidHook drops the segments that come to this machine.
var invalidHook = baseChain{name: "invalid-input", section: invalidSection, prefix: "invalid-", any: "invalid-any"}

// An invalidChain drops segments that come in by some interfaces, or from some ports.
type invalidChain struct {
	Only  []string
	Ports []farm.Ports
}

// dropInvalid has invalid segments of the frontends' farms dropped.
func (l *linker) dropInvalid(tracked []frontend) {
	tcp := slices.DeleteFunc(slices.Clone(tracked), func(d frontend) bool {
		return d.Protocol != farm.TCP && d.Specificity != farm.WholeAddress
	})
	input := l.dispatch(invalidHook, tcp, l.invalidOfClients)
	if input == nil {
		return
	}
	l.invalidOfBackends(&input.Sources, "invalid-back-", tcp, func(s *service) bool { return s.Mode == farm.SNAT })
	forward := &hook{Name: "invalid-forward", Maps: input.Maps}
	local := false
	l.invalidOfBackends(&forward.Sources, "invalid-forward-", tcp, func(s *service) bool {
		local = local || s.Mode == farm.DNAT && s.LocalClients
		return s.Mode == farm.DNAT
	})
	if local { // backends in mode dnat answer this machine, too
		input.Sources = append(input.Sources, forward.Sources...)
	}
	if len(forward.Sources) > 0 {
		l.rules.add(newChain(forward.Name, invalidSection, forward.Name).with(forward))
	}
}

func (s *service) dropsInvalid() bool {
	return slices.Contains([]farm.Mode{farm.SNAT, farm.DNAT}, s.Mode) && !s.PassInvalid
}

// invalidOfClients gives the verdict on segments of clients.
func (l *linker) invalidOfClients(d frontend) verdict {
	switch {
	case !d.farm.dropsInvalid():
		return noVerdict
	case len(d.farm.Interfaces) == 0:
		return drop
	}
	inside := d.farm.Interfaces
	return l.invalidChain("invalid-inside/"+shortened(inside, maxPartName), invalidChain{Only: l.only(inside)})
}

func (l *linker) invalidChain(name string, c invalidChain) verdict {
	l.rules.add(newChain(name, invalidSection, "drop-invalid").with(c))
	return goTo(name)
}

// invalidOfBackends adds the backends of farms to maps. Single ports stand in the keys. Of ranges each backend has one
// element, which leads to a chain that compares the ports: a map of intervals takes the kernel quadratic time to load.
func (l *linker) invalidOfBackends(maps *[]*dispatchMap, prefix string, frontends []frontend, of func(*service) bool) {
	known := map[netip.AddrPort]bool{}
	ranges := map[netip.Addr][]farm.Ports{}
	var ranged []reply
	for i := range frontends {
		d := &frontends[i]
		if !d.farm.dropsInvalid() || !of(d.farm) {
			continue
		}
		for _, r := range d.Replies() {
			at := netip.AddrPortFrom(r.Address, r.Ports.First)
			switch {
			case !r.Ports.Single():
				if ranges[r.Address] == nil {
					ranged = append(ranged, reply{r, d})
				}
				ranges[r.Address] = append(ranges[r.Address], r.Ports)
			case !known[at]:
				known[at] = true
				l.invalidOfBackend(maps, prefix, reply{r, d}, farm.ExactPort, drop)
			}
		}
	}
	for _, r := range ranged {
		l.invalidOfBackend(maps, prefix, r, farm.WholeAddress, l.invalidPorts(joinedPorts(ranges[r.Address])))
	}
}

func (l *linker) invalidOfBackend(maps *[]*dispatchMap, prefix string, r reply, at farm.Specificity, v verdict) {
	from := r.from()
	from.Specificity, from.Protocol = at, farm.TCP
	e := element{key: from.key(), value: string(v), origin: from.farm.backendOrigin(*r.Backend), commented: true}
	l.addElement(maps, mapPlace{Inet, invalidSection, prefix, ""}, from, e)
}

// invalidPorts gives the verdict on segments from the ports.
func (l *linker) invalidPorts(ports []farm.Ports) verdict {
	if slices.Contains(ports, farm.Ports{First: 0, Last: 65535}) {
		return drop
	}
	words := make([]string, len(ports))
	for i, p := range ports {
		words[i] = p.String()
	}
	return l.invalidChain("invalid-ports/"+shortened(words, maxPartName), invalidChain{Ports: ports})
}

// joinedPorts gives the same ports in the fewest ranges, in order.
func joinedPorts(all []farm.Ports) (out []farm.Ports) {
	slices.SortFunc(all, func(a, b farm.Ports) int { return cmp.Compare(a.First, b.First) })
	for _, p := range all {
		if n := len(out); n > 0 && int(p.First) <= int(out[n-1].Last)+1 {
			out[n-1].Last = max(out[n-1].Last, p.Last)
		} else {
			out = append(out, p)
		}
	}
	return out
}
