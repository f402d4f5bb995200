package preflight

import (
	"net/netip"
	"slices"

	"farmc/cmd/internal/foreign"
	"farmc/compiler/addr"
	"farmc/compiler/farm"

	"golang.org/x/sys/unix"
)

// Hooks of the families bridge (NF_BR_*) and arp (NF_ARP_*).
const (
	bridgePrerouting = iota
	bridgeInput
	bridgeForward
	bridgeOutput
	bridgePostrouting

	arpInput  = 0
	arpOutput = 1
)

// bridged follows packets that come in and go out by a bridge. The port is not known.
func (s *search) bridged(c *foreign.Chain, p flow) {
	comesIn := c.Hook == bridgePrerouting || c.Hook == bridgeInput
	goesOut := c.Hook == bridgeOutput || c.Hook == bridgePostrouting
	if comesIn && slices.ContainsFunc(p.clientLinks, s.machine.isBridge) {
		s.fromClients(c, p)
		s.discoveryAtBridge(c, p)
	}
	if p.local {
		return
	}
	for _, q := range s.eachBackend(p) {
		if !s.machine.isBridge(q.backendLink) {
			continue
		}
		packet := q.handedOn("")
		packet.Out = ""
		if r := s.frame(c, packet); goesOut {
			s.add(c, q, lossOf(r, "the packets to the backends", sentTo(q)), q.effect())
		}
		packet = q.answer("")
		packet.In, packet.Source, packet.SourcePort = "", q.backend.Address[q.family], q.backendPort
		if r := s.frame(c, packet); comesIn && p.answersPass() {
			s.add(c, q, lossOf(r, ofBackends, answered(q)), q.effect())
		}
	}
}

// fromClients follows the packets of clients through a bridge. With br_netfilter they pass the prerouting chains of IP
// at the end of those of the bridge, so they have the backend's address in its input chains.
func (s *search) fromClients(c *foreign.Chain, p flow) {
	const bridgeNetfilter = 0 // NF_BR_PRI_BRNF
	early := c.Hook == bridgePrerouting && c.Priority < bridgeNetfilter || !s.callsIP(p.family)
	if early || p.atIngress() {
		for _, q := range s.eachFrontend(p) {
			s.add(c, q, lossOf(s.frame(c, q.request("")), ofClients, addressed(q)), Stops)
		}
		return
	}
	for _, q := range s.eachBackend(p) {
		packet, pass := q.handedOn(""), sentTo(q)
		if packet.Out = ""; p.farm.Mode == farm.Local {
			pass = addressed(q)
		}
		s.add(c, q, lossOf(s.frame(c, packet), ofClients, pass), q.effect())
	}
}

// callsIP reports whether packets on bridges pass the chains of IP (br_netfilter).
func (s *search) callsIP(family addr.Family) bool {
	name := map[addr.Family]string{addr.IP4: "iptables", addr.IP6: "ip6tables"}[family]
	return s.linkSysctl("net/bridge/bridge-nf-call-"+name) == "1"
}

// frame follows a packet through a chain that knows no connections.
func (s *search) frame(c *foreign.Chain, packet foreign.Packet) foreign.Result {
	packet.State, packet.Translated = foreign.Invalid, false
	if r := s.machine.rules.Evaluate(s.ctx, c, packet); !r.Undecided {
		return r
	}
	return foreign.Result{}
}

// arp follows the questions of clients or routers for an address of this machine, and the answers of backends to
// questions of this machine.
func (s *search) arp(c *foreign.Chain, p flow, hook uint32) {
	if p.family != addr.IP4 {
		return
	}
	const request, reply = 1, 2
	for _, link := range p.clientLinks {
		asked := s.machine.askedFor(link, p.service)
		if !asked.IsValid() {
			continue
		}
		if hook == arpInput {
			r := s.frame(c, arpPacket(request, link, "", netip.Addr{}, asked))
			s.add(c, p, lossOf(r, "ARP requests for "+asked.String(), match{arp: true, address: asked}), Stops)
			asks := s.asksAs(link, p.service, asked)
			r = s.frame(c, arpPacket(reply, link, "", netip.Addr{}, asks))
			s.add(c, p, lossOf(r, "ARP replies to "+asks.String(), match{arp: true, address: asks}), Stops)
		} else if hook == arpOutput {
			r := s.frame(c, arpPacket(reply, "", link, asked, netip.Addr{}))
			pass := match{arp: true, source: true, address: asked}
			s.add(c, p, lossOf(r, "ARP replies with "+asked.String(), pass), Stops)
		}
	}
	for _, q := range s.eachBackend(p) {
		if next := s.machine.routes.lookUp(q.backend.Address[q.family]).next; !q.local && q.backend.MAC == "" &&
			q.sees(q.backendLink) {
			if hook == arpInput {
				r := s.frame(c, arpPacket(reply, q.backendLink, "", next, netip.Addr{}))
				s.add(c, q, lossOf(r, "ARP replies of "+next.String(), match{arp: true, source: true, address: next}),
					q.effect())
			} else if hook == arpOutput {
				r := s.frame(c, arpPacket(request, "", q.backendLink, netip.Addr{}, next))
				s.add(c, q, lossOf(r, "ARP requests for "+next.String(), match{arp: true, address: next}), q.effect())
			}
		}
	}
}

// asksAs is the address as which this machine asks for a client or router: the source address of the answer to the
// client, unless arp_announce is set.
func (s *search) asksAs(link string, service, own netip.Addr) netip.Addr {
	if s.machine.own(service) != nil && s.linkSetting(link, "arp_announce") == 0 {
		return service
	}
	return own
}

func arpPacket(operation uint16, in, out string, from, to netip.Addr) foreign.Packet {
	return foreign.Packet{Family: unix.NFPROTO_ARP, Operation: operation, In: in, Out: out, Source: from,
		Destination: to}
}

// askedFor is the address for which machines on a link ask: the service's address in a network of the link; else an
// address of the link, as a router asks for it.
func (m *machine) askedFor(link string, service netip.Addr) (own netip.Addr) {
	for _, o := range m.networks {
		switch {
		case o.link != link || !o.Addr().Is4():
		case o.Contains(service):
			return service
		case !own.IsValid():
			own = o.Addr()
		}
	}
	return own
}

func (m *machine) isBridge(name string) bool {
	l := m.links[name]
	return l != nil && l.Type() == "bridge"
}
