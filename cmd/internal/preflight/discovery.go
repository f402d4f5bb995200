package preflight

import (
	"farmc/cmd/internal/foreign"
	"farmc/compiler/addr"

	"golang.org/x/sys/unix"
)

// Types of ICMPv6.
const (
	solicitation  = 135
	advertisement = 136
)

// inDiscovery accepts neighbour discovery.
var inDiscovery = match{discovery: true}

// discoveryPacket is a message of neighbour discovery. Connection tracking leaves these packets alone.
func discoveryPacket(kind uint8, in, out string) foreign.Packet {
	return foreign.Packet{Family: unix.NFPROTO_IPV6, In: in, Out: out, Protocol: unix.IPPROTO_ICMPV6, Type: kind,
		State: foreign.Untracked}
}

// discovers reports whether the flow needs neighbour discovery of this machine.
func (p flow) discovers() bool { return p.family == addr.IP6 && (!p.atIngress() || p.answersPass()) }

// discovery follows neighbour discovery through an input chain: questions and answers of clients or routers, and
// answers of backends to questions of this machine.
func (s *search) discovery(c *foreign.Chain, p flow) {
	if !p.discovers() {
		return
	}
	r := s.agree(c, p, func(in string) foreign.Packet { return discoveryPacket(solicitation, in, "") })
	s.add(c, p, lossOf(r, "neighbour solicitations of clients and routers", inDiscovery), Stops)
	r = s.agree(c, p, func(in string) foreign.Packet { return discoveryPacket(advertisement, in, "") })
	s.add(c, p, lossOf(r, "neighbour advertisements of clients and routers", inDiscovery), Stops)
	for _, q := range s.eachBackend(p) {
		if q.local || q.backend.MAC != "" || !q.sees(q.backendLink) {
			continue
		}
		packet := discoveryPacket(advertisement, q.backendLink, "")
		packet.Source = s.machine.routes.lookUp(q.backend.Address[q.family]).next
		if r := s.machine.rules.Evaluate(s.ctx, c, packet); !r.Undecided {
			s.add(c, q, lossOf(r, "neighbour advertisements of "+packet.Source.String(), inDiscovery), q.effect())
		}
	}
}

// discoveryOut follows neighbour discovery through an output chain: answers to clients or routers, and questions for
// backends.
func (s *search) discoveryOut(c *foreign.Chain, p flow) {
	if !p.discovers() {
		return
	}
	r := s.agree(c, p, func(out string) foreign.Packet { return discoveryPacket(advertisement, "", out) })
	s.add(c, p, lossOf(r, "neighbour advertisements to clients and routers", inDiscovery), Stops)
	for _, q := range s.eachBackend(p) {
		if q.local || q.backend.MAC != "" || !q.sees(q.backendLink) {
			continue
		}
		r := s.machine.rules.Evaluate(s.ctx, c, discoveryPacket(solicitation, "", q.backendLink))
		if next := s.machine.routes.lookUp(q.backend.Address[q.family]).next; !r.Undecided {
			s.add(c, q, lossOf(r, "neighbour solicitations for "+next.String(), inDiscovery), q.effect())
		}
	}
}

// discoveryAtBridge follows questions of clients or routers through a bridge.
func (s *search) discoveryAtBridge(c *foreign.Chain, p flow) {
	if p.discovers() {
		r := s.frame(c, discoveryPacket(solicitation, "", ""))
		s.add(c, p, lossOf(r, "neighbour solicitations of clients and routers", inDiscovery), Stops)
	}
}
