package preflight

import (
	"fmt"
	"net/netip"
	"slices"

	"farmc/cmd/internal/foreign"
	"farmc/compiler/addr"
	"farmc/compiler/farm"

	"golang.org/x/sys/unix"
)

// loopback finds interfaces to backends of farms on a loopback address that do not take packets from that address. The
// kernel has already chosen 127.0.0.1 as the source when the rules choose a backend.
func (s *search) loopback() {
	for _, f := range s.farms {
		if !listensOnLoopback(f) {
			continue
		}
		for _, link := range s.linksToBackends(f, addr.IP4) {
			if s.linkSetting(link, "route_localnet") == 0 {
				s.found.add(notFromLoopback(link), f)
			}
		}
	}
}

func listensOnLoopback(f *farm.Farm) bool {
	return f.Mode != farm.Local &&
		slices.ContainsFunc(f.Listen, func(l farm.Listen) bool { return l.Address.IsLoopback() })
}

// servesOthers reports whether the farm listens on an address of the family that other machines can reach.
func servesOthers(f *farm.Farm, family addr.Family) bool {
	return f.Listens(family) && slices.ContainsFunc(f.Listen, func(l farm.Listen) bool {
		return slices.Contains(l.Families, family) && !l.Address.IsLoopback()
	})
}

func notFromLoopback(link string) Finding {
	return Finding{Kind: "loopback", Object: link, Effect: Stops,
		Message:  fmt.Sprintf("interface %s sends no connections to 127.0.0.1 on to backends", link),
		Commands: []string{setSysctl("net/ipv4/conf/"+link+"/route_localnet", "1")},
		Advice: "rules of the farm still drop packets of other machines with loopback addresses; " +
			"a file in /etc/sysctl.d keeps it"}
}

// linksToBackends are the interfaces out of which the routes to backends in use lead, each once.
func (s *search) linksToBackends(f *farm.Farm, family addr.Family) (links []string) {
	seen := map[netip.Addr]bool{}
	for i := range f.Backends {
		b := &f.Backends[i]
		if b.State != farm.Up || !b.Address.Has(family) || seen[b.Address[family]] {
			continue
		}
		seen[b.Address[family]] = true
		if link := s.linkTo(b.Address[family]); link != "" && !slices.Contains(links, link) {
			links = append(links, link)
		}
	}
	return links
}

// ofThisMachine follows the packets of a service on a loopback address. Requests of programs of this machine pass the
// output hook, where farmc translates their destination, and the postrouting hook. Answers of backends on other
// machines come in, and pass no forward hook.
func (s *search) ofThisMachine(c *foreign.Chain, p flow) {
	switch {
	case c.Hook == unix.NF_INET_LOCAL_OUT && c.Priority <= s.ownOutputPriority():
		s.undirected(c, p)
	case c.Type == "nat":
	case c.Hook == unix.NF_INET_LOCAL_OUT:
		s.forwarded(c, p, leaving)
		s.output(c, p)
	case c.Hook == unix.NF_INET_POST_ROUTING:
		s.forwarded(c, p, leaving)
	case c.Hook == unix.NF_INET_PRE_ROUTING:
		s.preroutingAnswers(c, p)
	case c.Hook == unix.NF_INET_LOCAL_IN:
		s.forwarded(c, p, returning)
		s.input(c, p)
	}
}

// ownOutputPriority is the priority of farmc's chain in which the destination of this machine's packets is translated.
func (s *search) ownOutputPriority() int32 {
	return s.priorityOf("nat", unix.NF_INET_LOCAL_OUT, -100) // NF_IP_PRI_NAT_DST
}

// undirected follows requests through an output chain before farmc's own one.
func (s *search) undirected(c *foreign.Chain, p flow) {
	for _, q := range s.eachFrontend(p) {
		packet := q.request("")
		packet.Out, packet.Source, packet.DestinationLocal = "lo", q.program(), true
		if c.Priority <= conntrackPriority {
			packet.State = foreign.Invalid
		}
		r := s.agree(c, q, func(string) foreign.Packet { return packet })
		s.add(c, q, lossOf(r, ofPrograms, addressed(q)), Stops)
		if r.Verdict == foreign.DestinationNAT {
			s.add(c, q, loss{"destination-nat", "sends " + ofPrograms + " elsewhere, before farmc does", r,
				addressed(q)}, Stops)
		}
		if r.Untracked && c.Priority < conntrackPriority {
			s.add(c, q, loss{"notrack", "takes " + ofPrograms + " from connection tracking", r, addressed(q)}, Stops)
		}
	}
}

// ofPrograms are the packets of clients of a loopback address.
const ofPrograms = "the packets of programs of this machine"

// program is the address of a program that connects to a loopback address.
func (p flow) program() netip.Addr {
	if p.client.Addr().IsValid() {
		return p.client.Addr()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// leaving is the loss of requests behind farmc's output chain. For output chains they still leave by lo, although they
// have a new route.
func leaving(s *search, c *foreign.Chain, p flow) loss {
	packet := p.handedOn("")
	if packet.Source = p.program(); c.Hook == unix.NF_INET_LOCAL_OUT {
		packet.Out = "lo"
	}
	r := s.agree(c, p, func(string) foreign.Packet { return packet })
	return lossOf(r, ofPrograms, handedOn(p))
}

// returning is the loss of answers in the input hook, at the end of which their source becomes the service's address.
func returning(s *search, c *foreign.Chain, p flow) loss {
	packet := p.answer("")
	packet.Destination, packet.DestinationLocal = p.program(), true
	return lossOf(s.agree(c, p, func(string) foreign.Packet { return packet }), ofBackends, handedOn(p))
}
