package ruleset

import (
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
	tcp := selected(tracked, (*frontend).takesTCP)
	input := l.dispatch(invalidHook, tcp, l.invalidOfClients)
	if input == nil {
		return
	}
	l.invalidOfBackends(&input.Sources, "invalid-back-", tcp, func(s *service) bool { return s.Mode == farm.SNAT })
	forward := &hook{Name: "invalid-forward", Maps: input.Maps}
	local := false
	l.invalidOfBackends(&forward.Sources, "invalid-forward-", tcp, func(s *service) bool {
		local = local || s.Mode == farm.DNAT && (s.LocalClients || len(s.Hairpin) > 0)
		return s.Mode == farm.DNAT
	})
	if local { // backends in mode dnat answer this machine, too
		input.Sources = append(input.Sources, forward.Sources...)
	}
	if len(forward.Sources) > 0 {
		l.rules.add(newChain(forward.Name, invalidSection, forward.Name).with(forward))
	}
}

// takesTCP reports whether segments come to the frontend.
func (d *frontend) takesTCP() bool { return d.Protocol == farm.TCP || d.Whole() }

func (s *service) dropsInvalid() bool {
	return (s.Mode == farm.SNAT || s.Mode == farm.DNAT) && !s.PassInvalid
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
	at := mapPlace{Inet, invalidSection, prefix, ""}
	frontends = selected(frontends, func(d *frontend) bool { return d.farm.dropsInvalid() && of(d.farm) })
	known := socketSet{}
	ranges := map[netip.Addr][]farm.Ports{}
	var ranged []reply
	for i := range frontends {
		d := &frontends[i]
		l.invalidOfSockets(maps, at, *d, known)
		for _, r := range d.replySources().ranged {
			if ranges[r.Address] == nil {
				ranged = append(ranged, reply{r, d})
			}
			ranges[r.Address] = append(ranges[r.Address], r.Ports)
		}
	}
	for _, r := range ranged {
		v := l.invalidPorts(farm.JoinedPorts(ranges[r.Address]))
		l.addElement(maps, at, r.fromTCP(farm.WholeAddress), r.invalidElement(farm.WholeAddress, v))
	}
}

// invalidOfSockets adds the backends that answer from single ports, except for known ones. Mostly no other frontend has
// one of them, and the frontend's piece has them all.
func (l *linker) invalidOfSockets(maps *[]*dispatchMap, at mapPlace, d frontend, known socketSet) {
	sockets := d.replySources().sockets
	if len(sockets) == 0 {
		return
	}
	p := d.piece(invalidPiece, d.invalidElements)
	if l.services.sockets.shared(d.farm) {
		if p = d.unknownSockets(p, known.add(sockets)); p == nil {
			return
		}
	}
	d.Specificity, d.Protocol = farm.ExactPort, farm.TCP
	m := l.dispatchMap(maps, at, d)
	m.elements.pieces = append(m.elements.pieces, p)
	m.Protocols.add(farm.TCP)
}

// unknownSockets gives the piece of some of the frontend's sockets: all of its sockets have the piece that is given. It
// is nil if there are none.
func (d frontend) unknownSockets(all *piece, some []int) *piece {
	switch len(some) {
	case 0:
		return nil
	case len(d.replySources().sockets):
		return all
	}
	elements := d.invalidElements()
	out := make([]element, len(some))
	for i, n := range some {
		out[i] = elements[n]
	}
	return newPiece(out)
}

// invalidElements are the backends that answer from single ports.
func (d frontend) invalidElements() []element {
	all := d.Replies()
	out := make([]element, 0, len(all))
	for _, r := range all {
		if r.Ports.Single() {
			out = append(out, reply{r, &d}.invalidElement(farm.ExactPort, drop))
		}
	}
	return out
}

func (r reply) invalidElement(at farm.Specificity, v verdict) element {
	return element{key: r.fromTCP(at).key(), value: string(v), origin: r.to.farm.backendOrigin(*r.Backend),
		commented: true}
}

// fromTCP is the backend as a frontend of TCP.
func (r reply) fromTCP(at farm.Specificity) frontend {
	d := r.from()
	d.Specificity, d.Protocol = at, farm.TCP
	return d
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
