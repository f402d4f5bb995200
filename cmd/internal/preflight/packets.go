package preflight

import (
	"net/netip"

	"farmc/cmd/internal/foreign"
	"farmc/compiler/addr"
	"farmc/compiler/farm"

	"golang.org/x/sys/unix"
)

// A flow is a connection of a client to a backend: by one frontend of a farm, in one family.
type flow struct {
	farm        *farm.Farm
	family      addr.Family
	protocol    farm.Protocol
	service     netip.Addr
	network     netip.Prefix // of the service, or the service alone
	wildcard    bool         // the service is one of all addresses of this machine
	servicePort uint16       // 0: every port
	backend     farm.Backend
	backendPort uint16
	frontends   []farm.Frontend // all of the farm and family
	backends    []farm.Backend  // all of the farm and family that are up
	clientLinks []string
	backendLink string
	local       bool           // the backend is on this machine
	loopback    bool           // the service is a loopback address: the clients are programs of this machine
	client      netip.AddrPort // zero: any
	seen        []string       // the interfaces whose packets the chain has that is followed; nil: all
}

// packetsOf returns a flow for each family of a farm: by its first frontend to its first backend that is up. Frontends
// at loopback addresses have a flow of their own.
func (s *search) packetsOf(f *farm.Farm) (flows []flow) {
	for _, family := range addr.Families {
		p := flow{farm: f, family: family, local: f.Mode == farm.Local}
		var onLoopback []farm.Frontend
		for _, d := range s.only.limit(&p, f.Frontends()) {
			switch {
			case d.Family == family && d.Address.IsLoopback():
				onLoopback = append(onLoopback, d)
			case d.Family == family:
				p.frontends = append(p.frontends, d)
			}
		}
		for _, b := range f.Backends {
			if b.State == farm.Up && b.Address.Has(family) {
				p.backends = append(p.backends, b)
			}
		}
		if len(p.backends) == 0 && f.Mode != farm.Local {
			continue
		}
		flows = s.addFlow(flows, p)
		p.frontends, p.loopback, p.clientLinks = onLoopback, true, []string{"lo"}
		flows = s.addFlow(flows, p)
	}
	return flows
}

// addFlow adds a flow by the first of its frontends, if there is any.
func (s *search) addFlow(flows []flow, p flow) []flow {
	if len(p.frontends) == 0 {
		return flows
	}
	if p = s.by(p, p.frontends[0]); !p.service.IsValid() {
		return flows
	}
	if p.farm.Mode != farm.Local {
		p = s.to(p, p.backends[0])
	}
	return append(flows, p)
}

// limit gives the frontends that the search is about, and sets the client and the interface of the flow.
func (o *onlyPackets) limit(p *flow, all []farm.Frontend) []farm.Frontend {
	if o == nil {
		return all
	}
	p.client = o.client
	if o.link != "" {
		p.clientLinks = []string{o.link}
	}
	return []farm.Frontend{o.frontend}
}

// maxFrontends is the maximum number of frontends of a farm of which packets are followed.
const maxFrontends = 16

// eachFrontend returns the flows by the frontends of the farm to the backend of a flow.
func (s *search) eachFrontend(p flow) (flows []flow) {
	for _, d := range p.frontends[:min(len(p.frontends), maxFrontends)] {
		if q := s.by(p, d); q.service.IsValid() {
			flows = append(flows, q)
		}
	}
	return flows
}

// eachBackend returns the flows by the frontend of a flow to the backends of the farm.
func (s *search) eachBackend(p flow) (flows []flow) {
	if p.farm.Mode == farm.Local {
		return []flow{p}
	}
	for _, b := range p.backends {
		flows = append(flows, s.to(p, b))
	}
	return flows
}

// by sets the frontend of a flow. For a frontend of all addresses of this machine, clients ask for the first one.
func (s *search) by(p flow, d farm.Frontend) flow {
	p.protocol, p.service, p.servicePort = d.Protocol, d.Address, d.Ports.First
	p.network = d.Network()
	if p.wildcard = !p.service.IsValid(); p.wildcard {
		p.service = s.machine.anyAddress(p.family)
	}
	if p.protocol == "" {
		p.protocol = farm.TCP
	}
	p.backendPort = p.backend.PortFor(p.servicePort)
	if p.clientLinks == nil {
		p.clientLinks = s.machine.clientLinks(p.farm, p.service)
	}
	return p
}

// to sets the backend of a flow.
func (s *search) to(p flow, b farm.Backend) flow {
	p.backend = b
	p.backendPort = b.PortFor(p.servicePort)
	route := s.machine.routes.lookUp(b.Address[p.family])
	p.local, p.backendLink = route.kind == local, s.machine.names[route.link]
	return p
}

// effect is the effect of the loss of packets to or from the backend of a flow.
func (p flow) effect() Effect {
	if len(p.backends) > 1 {
		return Harms
	}
	return Stops
}

func (p flow) tracked() bool { return p.farm.Mode != farm.Stateless && p.farm.Mode != farm.DSR }

// translated reports whether connection tracking translates the packets of the flow.
func (p flow) translated() bool { return p.farm.Mode == farm.SNAT || p.farm.Mode == farm.DNAT }

// atIngress reports whether farmc takes requests at ingress.
func (p flow) atIngress() bool { return !p.tracked() && len(p.farm.Interfaces) > 0 }

// servedHere reports whether packets of clients reach a program of this machine as they came in: to the service, and
// seen by connection tracking.
func (p flow) servedHere() bool {
	return p.farm.Mode == farm.Local || p.farm.Mode == farm.DSR && p.local
}

// answersPass reports whether answers of backends pass this machine.
func (p flow) answersPass() bool { return p.farm.Mode != farm.DSR }

// request is the first packet of the flow as a client sends it. The destination is not local for fib: a service can be
// routed here.
func (p flow) request(in string) foreign.Packet {
	family := uint8(unix.NFPROTO_IPV4)
	if p.family == addr.IP6 {
		family = unix.NFPROTO_IPV6
	}
	return foreign.Packet{Family: family, In: in, Destination: p.service, Protocol: uint8(p.protocol.Number()),
		DestinationPort: p.servicePort, State: foreign.New, Source: p.client.Addr(), SourcePort: p.client.Port(),
		Asked: p.requested()}
}

// handedOn is the first packet as farmc hands it on to the backend.
func (p flow) handedOn(in string) foreign.Packet {
	packet := p.request(in)
	packet.DestinationLocal = p.local
	if p.servedHere() {
		return packet
	}
	packet.Out, packet.Destination, packet.DestinationPort = p.backendLink, p.backend.Address[p.family], p.backendPort
	packet.State, packet.Translated = foreign.New, true
	if !p.tracked() {
		packet.State, packet.Translated = foreign.Untracked, false
	}
	return packet
}

// answer is the answer of the backend on its way to the client. In mode stateless the source is unknown, because it is
// translated before or behind the hook.
func (p flow) answer(out string) foreign.Packet {
	packet := p.handedOn(p.backendLink)
	packet.Out, packet.Reply = out, true
	packet.Destination, packet.DestinationPort = p.client.Addr(), p.client.Port()
	packet.Source, packet.SourcePort = netip.Addr{}, 0
	if p.tracked() {
		packet.State = foreign.Established
		packet.Source, packet.SourcePort = p.backend.Address[p.family], p.backendPort
	}
	return packet
}

// ownAnswer is the answer of a backend on this machine.
func (p flow) ownAnswer(out string) foreign.Packet {
	packet := p.answer(out)
	packet.In, packet.DestinationLocal = "", false
	if p.servedHere() {
		packet.Source, packet.SourcePort, packet.State = p.service, p.servicePort, foreign.Established
	}
	return packet
}
