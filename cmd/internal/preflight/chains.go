package preflight

import (
	"fmt"
	"slices"

	"farmc/cmd/internal/foreign"
	"farmc/compiler/farm"

	"golang.org/x/sys/unix"
)

// follow follows the packets of a flow through the base chains of other programs that they pass.
func (s *search) follow(p flow) {
	if len(p.clientLinks) == 0 {
		return
	}
	atIngress := !p.tracked() && len(p.farm.Interfaces) > 0
	for _, c := range s.machine.rules.Chains {
		switch {
		case atIngress && p.farm.Mode == farm.Stateless && c.Hook == unix.NF_INET_FORWARD && passes(c, p):
			s.dropped(c, p, s.agree(c, p, p.answer), answersDropped, handedOn(p))
		case atIngress:
			s.atIngress(c, p)
		case !passes(c, p):
		case c.Type == "nat" && c.Hook == unix.NF_INET_PRE_ROUTING:
			s.destinationNAT(c, p)
		case c.Type == "nat" && c.Hook == unix.NF_INET_POST_ROUTING:
			s.sourceNAT(c, p)
		case c.Type == "nat":
		case c.Hook == unix.NF_INET_PRE_ROUTING:
			s.prerouting(c, p)
		case c.Hook == unix.NF_INET_FORWARD && !p.local:
			s.forwardChain(c, p)
		case c.Hook == unix.NF_INET_LOCAL_IN && p.local:
			s.dropped(c, p, s.agree(c, p, p.handedOn), "drops the packets to a backend on this machine", handedOn(p))
		}
	}
}

// passes reports whether packets of the flow pass chains of this family.
func passes(c *foreign.Chain, p flow) bool {
	return c.Family == unix.NFPROTO_INET || c.Family == p.request("", false).Family
}

// agree follows a packet for each interface of clients. The result is the last one, if all of them are the same and
// decided; else the zero Result.
func (s *search) agree(c *foreign.Chain, p flow, packet func(link string) foreign.Packet) (last foreign.Result) {
	for i, link := range p.clientLinks {
		r := s.machine.rules.Evaluate(s.ctx, c, packet(link))
		if r.Undecided || i > 0 && (r.Verdict != last.Verdict || r.Untracked != last.Untracked) {
			return foreign.Result{}
		}
		last = r
	}
	return last
}

// forwardChain follows request and answer through a forward chain.
func (s *search) forwardChain(c *foreign.Chain, p flow) {
	r := s.agree(c, p, p.handedOn)
	words := "drops the forwarded packets"
	if r.Verdict != foreign.Drop {
		r, words = s.agree(c, p, p.answer), answersDropped
	}
	s.dropped(c, p, r, words, handedOn(p))
}

const answersDropped = "drops the answers of the backends"

// dropped adds a finding if the result is a drop.
func (s *search) dropped(c *foreign.Chain, p flow, r foreign.Result, words string, pass match) {
	if r.Verdict != foreign.Drop {
		return
	}
	f := Finding{Kind: "drop", Object: chainName(c), Effect: Stops, Message: fmt.Sprintf("%s %s", describe(c, r),
		words)}
	s.machine.let(&f, c, p, pass)
	s.found.add(f, p.farm)
}

// prerouting follows the request through a chain before and behind farmc's own one.
func (s *search) prerouting(c *foreign.Chain, p flow) {
	own := s.ownPriority(p)
	pass := addressed(p)
	here := s.machine.own(p.service) != nil
	packet := func(in string) foreign.Packet {
		packet := p.request(in, here)
		if c.Priority > own {
			packet, pass = p.handedOn(in), handedOn(p)
		}
		if c.Priority <= conntrackPriority {
			packet.State, packet.Translated = foreign.Invalid, false
		}
		return packet
	}
	r := s.agree(c, p, packet)
	if c.Priority <= conntrackPriority {
		pass = addressed(p)
	}
	s.dropped(c, p, r, "drops the packets of clients", pass)
	switch {
	case r.Untracked && p.tracked() && c.Priority < conntrackPriority && p.farm.Mode != farm.Local:
		s.caught(c, p, r, "notrack", Stops, "takes the packets of clients from connection tracking", pass)
	case r.Verdict == foreign.Proxy:
		s.caught(c, p, r, "proxy", Stops, "hands the packets of clients to a proxy", pass)
	}
}

// conntrackPriority is the priority of connection tracking (NF_IP_PRI_CONNTRACK).
const conntrackPriority = -200

// caught adds a finding about packets that a rule treats in another way than dropping them.
func (s *search) caught(c *foreign.Chain, p flow, r foreign.Result, kind string, effect Effect, words string,
	pass match) {
	f := Finding{Kind: kind, Object: chainName(c), Effect: effect, Message: fmt.Sprintf("%s %s", describe(c, r), words)}
	s.machine.let(&f, c, p, pass)
	s.found.add(f, p.farm)
}

// destinationNAT finds translations of the destination before farmc's own one. At the same priority the chain that was
// loaded last comes first.
func (s *search) destinationNAT(c *foreign.Chain, p flow) {
	if !p.tracked() || c.Priority > s.ownPriority(p) {
		return
	}
	here := s.machine.own(p.service) != nil
	r := s.agree(c, p, func(in string) foreign.Packet { return p.request(in, here) })
	if r.Verdict == foreign.DestinationNAT {
		s.caught(c, p, r, "destination-nat", Stops, "sends the packets of clients elsewhere, before farmc does",
			addressed(p))
	}
}

// sourceNAT finds translations of the source in mode dnat, where backends see the clients.
func (s *search) sourceNAT(c *foreign.Chain, p flow) {
	if p.local || p.farm.Mode != farm.DNAT && p.farm.Mode != farm.SNAT {
		return
	}
	if p.farm.Mode == farm.SNAT && (!p.fixedSource() || c.Priority > s.ownSourcePriority()) {
		return
	}
	r := s.agree(c, p, p.handedOn)
	if r.Verdict == foreign.SourceNAT {
		s.caught(c, p, r, "source-nat", Harms, "gives the packets to the backends another source address", match{
			family: p.family, address: p.backend.Address[p.family]})
	}
}

// fixedSource reports whether the farm or the backend has a source address.
func (p flow) fixedSource() bool {
	return p.farm.Source.Has(p.family) || p.backend.Source.Has(p.family)
}

// atIngress follows frames of modes dsr and stateless that farmc takes at ingress.
func (s *search) atIngress(c *foreign.Chain, p flow) {
	const netdevIngress, inetIngress = 0, 5 // NF_NETDEV_INGRESS, NF_INET_INGRESS
	hooked := c.Family == unix.NFPROTO_NETDEV && c.Hook == netdevIngress ||
		c.Family == unix.NFPROTO_INET && c.Hook == inetIngress
	if !hooked || c.Priority >= 0 {
		return
	}
	p.clientLinks = slices.DeleteFunc(slices.Clone(p.clientLinks), func(name string) bool {
		return !slices.Contains(c.Devices, name)
	})
	r := s.agree(c, p, func(in string) foreign.Packet {
		packet := p.request(in, false)
		packet.State = foreign.Invalid
		return packet
	})
	s.dropped(c, p, r, "drops the packets of clients", addressed(p))
}

// ownPriority is the priority of farmc's chain in which the destination is translated.
func (s *search) ownPriority(p flow) int32 {
	kind, priority := "nat", int32(-100) // NF_IP_PRI_NAT_DST
	if !p.tracked() {
		kind, priority = "filter", -300 // NF_IP_PRI_RAW
	}
	return s.priorityOf(kind, unix.NF_INET_PRE_ROUTING, priority)
}

func (s *search) ownSourcePriority() int32 {
	return s.priorityOf("nat", unix.NF_INET_POST_ROUTING, 100) // NF_IP_PRI_NAT_SRC
}

// priorityOf is the highest priority of farmc's chains of the type and hook, nearest to the default. Chains that count
// or log stand at a distance of 5 or more.
func (s *search) priorityOf(kind string, hook uint32, usual int32) int32 {
	for _, c := range s.machine.rules.Own {
		if c.Type == kind && c.Hook == hook && c.Priority > usual-5 && c.Priority < usual+5 {
			return c.Priority
		}
	}
	return usual
}
