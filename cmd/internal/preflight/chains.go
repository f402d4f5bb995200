package preflight

import (
	"fmt"
	"net/netip"
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
	for _, c := range s.machine.rules.Chains {
		switch {
		case c.Family == unix.NFPROTO_BRIDGE:
			s.bridged(c, p)
		case c.Family == unix.NFPROTO_ARP:
			s.arp(c, p, c.Hook)
		case isIngress(c):
			s.ingress(c, p)
		case isEgress(c):
			s.egress(c, p)
		case p.loopback && passes(c, p):
			s.ofThisMachine(c, p)
		case p.loopback:
		case p.atIngress() && c.Hook == unix.NF_INET_FORWARD && passes(c, p):
			if p.farm.Mode == farm.Stateless {
				s.forwarded(c, p, answers)
			}
		case p.atIngress() && passes(c, p):
			s.ownShareOf(c, p)
		case p.atIngress():
		case !passes(c, p):
		case c.Type == "nat" && c.Hook == unix.NF_INET_PRE_ROUTING:
			s.destinationNAT(c, p)
		case c.Type == "nat" && c.Hook == unix.NF_INET_POST_ROUTING:
			s.sourceNAT(c, p)
		case c.Type == "nat":
		case c.Hook == unix.NF_INET_PRE_ROUTING:
			s.prerouting(c, p)
		case c.Hook == unix.NF_INET_FORWARD || c.Hook == unix.NF_INET_POST_ROUTING:
			s.forwarded(c, p, requests, answers)
		case c.Hook == unix.NF_INET_LOCAL_IN:
			s.input(c, p)
			s.discovery(c, p)
		case c.Hook == unix.NF_INET_LOCAL_OUT:
			s.output(c, p)
			s.discoveryOut(c, p)
		}
	}
	s.zones(p)
}

// passes reports whether packets of the flow pass chains of this family.
func passes(c *foreign.Chain, p flow) bool {
	return c.Family == unix.NFPROTO_INET || c.Family == p.request("").Family
}

// agree follows a packet for each interface of clients. The result is the last one, if all of them are the same and
// decided; else, or after maxWork, the zero Result.
func (s *search) agree(c *foreign.Chain, p flow, packet func(link string) foreign.Packet) (last foreign.Result) {
	for i, link := range p.clientLinks {
		if s.machine.rules.Work > maxWork {
			return foreign.Result{}
		}
		r := s.evaluate(c, p, packet(link), link)
		if r.Undecided || i > 0 && (r.Verdict != last.Verdict || r.Untracked != last.Untracked || r.Zone != last.Zone) {
			return foreign.Result{}
		}
		last = r
	}
	return last
}

// A loss is a chain that takes packets of a flow away, or changes them.
type loss struct {
	kind  string // of the finding; "": none
	words string
	by    foreign.Result
	pass  match // the packets that have to pass
}

// lossOf is the loss of packets by a result. What names the packets.
func lossOf(r foreign.Result, what string, pass match) loss {
	switch r.Verdict {
	case foreign.Drop:
		return loss{"drop", "drops " + what, r, pass}
	case foreign.Sent:
		return loss{"drop", "sends " + what + " out of another interface", r, pass}
	case foreign.Unread:
		words := "puts " + what + " into a queue that no program reads, so the kernel drops them"
		return loss{"drop", words, r, pass}
	case foreign.Proxy:
		return loss{"proxy", "hands " + what + " to a proxy", r, pass}
	}
	return loss{}
}

// add adds the finding about a loss.
func (s *search) add(c *foreign.Chain, p flow, l loss, effect Effect) {
	if l.kind == "" {
		return
	}
	f := Finding{Kind: l.kind, Object: chainName(c), Effect: effect,
		Message: fmt.Sprintf("%s %s", describe(c, l.by), l.words)}
	if s.machine.let(&f, c, p, l.pass); l.by.Verdict == foreign.Unread {
		f.Commands, f.Advice = nil, readQueue
	}
	s.found.add(f, p.farm)
}

// readQueue is the remedy for a queue that no program reads. A rule that accepts the packets would have them pass by
// the program for ever.
const readQueue = "start the program that reads the queue, such as suricata; with the flag bypass in its rule " +
	"packets pass while no program reads the queue"

// The packets of clients and of backends.
const (
	ofClients  = "the packets of clients"
	ofBackends = "the answers of the backends"
)

// requests is the loss of forwarded packets to the backend.
func requests(s *search, c *foreign.Chain, p flow) loss {
	return lossOf(s.agree(c, p, p.handedOn), "the forwarded packets", handedOn(p))
}

// answers is the loss of forwarded answers of the backend.
func answers(s *search, c *foreign.Chain, p flow) loss {
	return lossOf(s.agree(c, p, p.answer), ofBackends, handedOn(p))
}

// forwarded follows packets to and from each backend on another machine through a forward chain. The first loss counts.
// A chain that takes the packets of some backends only does not stop the farm.
func (s *search) forwarded(c *foreign.Chain, p flow, directions ...func(*search, *foreign.Chain, flow) loss) {
	var first loss
	name, lost, all := "", 0, 0
	for _, q := range s.eachBackend(p) {
		if q.local {
			continue
		}
		all++
		for _, follow := range directions {
			if l := follow(s, c, q); l.kind != "" {
				if lost++; lost == 1 {
					first, name = l, q.backend.Name
				}
				break
			}
		}
	}
	if lost < all {
		first.words += fmt.Sprintf(", backend %s", name)
		s.add(c, p, first, Harms)
		return
	}
	s.add(c, p, first, Stops)
}

// ownShareOf follows the packets that mode dsr leaves to this machine, which is one of the backends. They go on to the
// service's address, and other programs track and filter them like those of any client.
func (s *search) ownShareOf(c *foreign.Chain, p flow) {
	for _, q := range s.ownBackends(p) {
		if q.farm.Mode != farm.DSR || s.machine.routes.to(q.service) != local {
			continue
		}
		switch {
		case c.Hook == unix.NF_INET_PRE_ROUTING:
			r := s.agree(c, q, func(in string) foreign.Packet { return s.cameIn(c, q, in) })
			s.add(c, q, lossOf(r, ofOwnShare, addressed(q)), q.effect())
			if r.Verdict == foreign.DestinationNAT {
				s.add(c, q, loss{"destination-nat", "sends " + ofOwnShare + " elsewhere", r, addressed(q)}, q.effect())
			}
		case c.Type == "nat":
		case c.Hook == unix.NF_INET_LOCAL_IN:
			s.add(c, q, lossOf(s.agree(c, q, q.handedOn), ofOwnShare, addressed(q)), q.effect())
		default:
			s.add(c, q, lossOf(s.agree(c, q, q.ownAnswer), ofOwnAnswers, answered(q)), q.effect())
		}
	}
}

// ownBackends returns the flows to backends on this machine.
func (s *search) ownBackends(p flow) []flow {
	return slices.DeleteFunc(s.eachBackend(p), func(q flow) bool { return !q.local })
}

// The packets of a backend on this machine.
const (
	ofOwnShare   = "the packets to a backend on this machine"
	ofOwnAnswers = "the answers of a backend on this machine"
)

// input follows packets to a backend on this machine.
func (s *search) input(c *foreign.Chain, p flow) {
	for _, q := range s.ownBackends(p) {
		s.add(c, q, lossOf(s.agree(c, q, q.handedOn), ofOwnShare, handedOn(q)), Stops)
	}
}

// output follows answers of a backend on this machine.
func (s *search) output(c *foreign.Chain, p flow) {
	for _, q := range s.ownBackends(p) {
		s.add(c, q, lossOf(s.agree(c, q, q.ownAnswer), ofOwnAnswers, answered(q)), Stops)
	}
}

// prerouting follows requests and answers through a chain before and behind farmc's own one.
func (s *search) prerouting(c *foreign.Chain, p flow) {
	for _, q := range s.eachFrontend(p) {
		r, pass := s.agree(c, q, func(in string) foreign.Packet { return s.cameIn(c, q, in) }), s.passOf(c, q)
		s.add(c, q, lossOf(r, ofClients, pass), Stops)
		if r.Untracked && q.translated() && c.Priority < conntrackPriority {
			s.add(c, q, loss{"notrack", "takes " + ofClients + " from connection tracking", r, pass}, Stops)
		}
	}
	s.preroutingAnswers(c, p)
}

// preroutingAnswers follows answers of a backend on another machine through a chain before and behind farmc's own one.
func (s *search) preroutingAnswers(c *foreign.Chain, p flow) {
	if p.local {
		return
	}
	r := s.evaluate(c, p, s.cameBack(c, p), "")
	if r.Undecided {
		return
	}
	pass := answered(p)
	s.add(c, p, lossOf(r, ofBackends, pass), Stops)
	if r.Untracked && p.translated() && c.Priority < conntrackPriority {
		s.add(c, p, loss{"notrack", "takes " + ofBackends + " from connection tracking", r, pass}, Stops)
	}
}

// conntrackPriority is the priority of connection tracking (NF_IP_PRI_CONNTRACK).
const conntrackPriority = -200

// cameIn is the packet of a client in a prerouting chain.
func (s *search) cameIn(c *foreign.Chain, p flow, in string) foreign.Packet {
	packet := p.request(in)
	packet.DestinationLocal = s.machine.own(p.service) != nil
	if c.Priority > s.ownPriority(p) {
		packet = p.handedOn(in)
		packet.Out = ""
	}
	if c.Priority <= conntrackPriority {
		packet.State, packet.Translated = foreign.Invalid, false
	}
	return packet
}

// passOf matches the packets of clients in a prerouting chain.
func (s *search) passOf(c *foreign.Chain, p flow) match {
	if c.Priority <= s.ownPriority(p) || c.Priority <= conntrackPriority {
		return addressed(p)
	}
	return handedOn(p)
}

// cameBack is the answer of a backend in a prerouting chain.
func (s *search) cameBack(c *foreign.Chain, p flow) foreign.Packet {
	packet := p.answer("")
	switch {
	case (p.loopback || p.farm.Mode == farm.SNAT) && c.Priority <= s.ownPriority(p): // to this machine
		packet.DestinationLocal, packet.Destination, packet.DestinationPort = true, netip.Addr{}, 0
	case p.loopback:
		packet.DestinationLocal, packet.Destination = true, p.program()
	}
	packet.Source, packet.SourcePort = p.backend.Address[p.family], p.backendPort
	if c.Priority <= conntrackPriority {
		packet.State, packet.Translated = foreign.Invalid, false
	}
	return packet
}

// zones finds connections whose two directions are in different zones of connection tracking. Then answers are not
// translated back.
func (s *search) zones(p flow) {
	if !p.translated() || p.local || p.loopback {
		return
	}
	var ask, back foreign.Result
	var by *foreign.Chain
	for _, c := range s.machine.rules.Chains {
		if c.Hook != unix.NF_INET_PRE_ROUTING || c.Priority >= conntrackPriority || c.Type != "filter" ||
			!passes(c, p) {
			continue
		}
		there := s.agree(c, p, func(in string) foreign.Packet { return s.cameIn(c, p, in) })
		here := s.evaluate(c, p, s.cameBack(c, p), "")
		if there.Zone != 0 || here.Zone != 0 {
			by = c
		}
		ask.Zone, back.Zone = max(ask.Zone, there.Zone), max(back.Zone, here.Zone)
		if there.Zone == foreign.UnknownZone || here.Zone == foreign.UnknownZone || there.Undecided || here.Undecided {
			return
		}
	}
	pass, words := addressed(p), fmt.Sprintf("puts %s and %s into different zones of connection tracking", ofClients,
		ofBackends)
	if ask.Zone == 0 {
		pass = answered(p)
	}
	if by != nil && ask.Zone != back.Zone {
		s.add(by, p, loss{"zone", words, ask, pass}, Stops)
	}
}

// destinationNAT finds translations of the destination before farmc's own one. At the same priority the chain that was
// loaded last comes first.
func (s *search) destinationNAT(c *foreign.Chain, p flow) {
	if !p.tracked() || c.Priority > s.ownPriority(p) {
		return
	}
	for _, q := range s.eachFrontend(p) {
		r := s.agree(c, q, func(in string) foreign.Packet { return s.cameIn(c, q, in) })
		if r.Verdict == foreign.DestinationNAT {
			s.add(c, q, loss{"destination-nat", "sends " + ofClients + " elsewhere, before farmc does", r,
				addressed(q)}, Stops)
		}
	}
}

// sourceNAT finds translations of the source in mode dnat, where backends see the clients.
func (s *search) sourceNAT(c *foreign.Chain, p flow) {
	if p.farm.Mode == farm.SNAT && c.Priority > s.ownSourcePriority() {
		return
	}
	for _, q := range s.eachBackend(p) {
		if q.local || q.farm.Mode != farm.DNAT && (q.farm.Mode != farm.SNAT || !q.fixedSource()) {
			continue
		}
		if r := s.agree(c, q, q.handedOn); r.Verdict == foreign.SourceNAT {
			s.add(c, q, loss{"source-nat", "gives the packets to the backends another source address", r, match{
				family: q.family, address: q.backend.Address[q.family]}}, Harms)
		}
	}
}

// fixedSource reports whether the farm or the backend has a source address.
func (p flow) fixedSource() bool {
	return p.farm.Source.Has(p.family) || p.backend.Source.Has(p.family)
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
