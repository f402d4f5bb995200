package preflight

import (
	"math"
	"slices"

	"farmc/cmd/internal/foreign"
	"farmc/cmd/internal/nfnetlink"
	"farmc/compiler/farm"

	"golang.org/x/sys/unix"
)

const netdevIngress, inetIngress = 0, 5 // NF_NETDEV_INGRESS, NF_INET_INGRESS

// isIngress reports whether a chain sees packets as they come in, before all other hooks.
func isIngress(c *foreign.Chain) bool {
	return c.Family == unix.NFPROTO_NETDEV && c.Hook == netdevIngress ||
		c.Family == unix.NFPROTO_INET && c.Hook == inetIngress
}

// ingress follows packets of clients, unless farmc takes them before, and answers of backends through an ingress
// chain. A chain of family netdev also sees ARP and neighbour discovery.
func (s *search) ingress(c *foreign.Chain, p flow) {
	p.seen = c.Devices
	links := slices.DeleteFunc(slices.Clone(p.clientLinks), func(name string) bool { return !p.sees(name) })
	effect := Stops
	if len(links) < len(p.clientLinks) {
		effect = Harms
	}
	p.clientLinks = links
	first := *c
	first.Priority = math.MinInt32 // for the packets: neither tracked nor translated
	if !p.loopback && (!p.atIngress() || s.beforeFarmc(c)) {
		for _, q := range s.eachFrontend(p) {
			r := s.agree(c, q, func(in string) foreign.Packet { return s.cameIn(&first, q, in) })
			s.add(c, q, lossOf(r, ofClients, addressed(q)), effect)
		}
	}
	if c.Family == unix.NFPROTO_NETDEV {
		s.arp(c, p, arpInput)
	}
	s.discovery(c, p)
	if !p.answersPass() {
		return
	}
	for _, q := range s.eachBackend(p) {
		if q.local || !q.sees(q.backendLink) || q.atIngress() && slices.Contains(q.farm.Interfaces, q.backendLink) {
			continue
		}
		if r := s.evaluate(c, q, s.cameBack(&first, q), ""); !r.Undecided {
			s.add(c, q, lossOf(r, ofBackends, answered(q)), q.effect())
		}
	}
}

// sees reports whether the chain that the flow is followed through has the packets of an interface.
func (p flow) sees(link string) bool { return p.seen == nil || slices.Contains(p.seen, link) }

// isEgress reports whether a chain sees packets as they leave, behind all other hooks.
func isEgress(c *foreign.Chain) bool {
	return c.Family == unix.NFPROTO_NETDEV && c.Hook == nfnetlink.NetdevEgress
}

// egress follows packets to backends and answers to clients through an egress chain, which also sees ARP and neighbour
// discovery. Connection tracking and farmc have translated them.
func (s *search) egress(c *foreign.Chain, p flow) {
	p.seen = c.Devices
	for _, q := range s.eachBackend(p) {
		if q.local || !q.sees(q.backendLink) {
			continue
		}
		packet := q.handedOn("")
		packet.In = ""
		pass := sentTo(q)
		if q.farm.Mode == farm.DSR {
			packet.Destination, packet.DestinationPort, pass = q.service, q.servicePort, addressed(q)
		}
		s.add(c, q, lossOf(s.frame(c, packet), "the packets to the backends", pass), q.effect())
	}
	links := slices.DeleteFunc(slices.Clone(p.clientLinks), func(name string) bool { return !p.sees(name) })
	effect := Stops
	if len(links) < len(p.clientLinks) {
		effect = Harms
	}
	p.clientLinks = links
	if !p.loopback && (p.answersPass() || p.local) {
		for _, q := range s.eachFrontend(p) {
			r := s.agree(c, q, func(out string) foreign.Packet {
				packet := q.answer(out)
				packet.In, packet.State = "", foreign.Invalid
				packet.Source, packet.SourcePort = q.service, q.servicePort
				return packet
			})
			pass := addressed(q)
			pass.source = true
			s.add(c, q, lossOf(r, "the answers to clients", pass), effect)
		}
	}
	s.arp(c, p, arpOutput)
	s.discoveryOut(c, p)
}

// beforeFarmc reports whether an ingress chain is asked before farmc takes requests. It does so at priority 0, or at -1
// where a chain asks first; lower ones prepare packets. Of one priority the kernel asks the chain that was loaded last.
func (s *search) beforeFarmc(c *foreign.Chain) bool {
	first := foreign.Chain{Created: math.MaxUint64}
	for _, own := range s.machine.rules.Own {
		if isIngress(own) && own.Priority >= -1 && own.Priority <= first.Priority &&
			slices.ContainsFunc(own.Devices, func(name string) bool { return slices.Contains(c.Devices, name) }) {
			first = *own
		}
	}
	return c.Priority < first.Priority || c.Priority == first.Priority && c.Created > first.Created
}
