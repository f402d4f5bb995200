package preflight

import (
	"net/netip"
	"slices"

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
	servicePort uint16 // 0: every port
	backend     farm.Backend
	backendPort uint16
	clientLinks []string
	backendLink string
	local       bool // the backend is on this machine
}

// packetsOf returns a flow for each family of a farm: by its first frontend to its first backend that is up.
func (s *search) packetsOf(f *farm.Farm) (flows []flow) {
	for _, family := range addr.Families {
		fronts := f.Frontends()
		i := slices.IndexFunc(fronts, func(d farm.Frontend) bool { return d.Family == family && d.Address.IsValid() })
		if i < 0 {
			continue
		}
		d := fronts[i]
		p := flow{farm: f, family: family, protocol: d.Protocol, service: d.Address, servicePort: d.Ports.First,
			backendPort: d.Ports.First, local: f.Mode == farm.Local}
		if p.protocol == "" {
			p.protocol = farm.TCP
		}
		p.clientLinks = s.machine.clientLinks(f, d.Address)
		if f.Mode == farm.Local || s.toBackend(&p) {
			flows = append(flows, p)
		}
	}
	return flows
}

// toBackend sets the backend of a flow, and reports whether there is one.
func (s *search) toBackend(p *flow) bool {
	i := slices.IndexFunc(p.farm.Backends, func(b farm.Backend) bool {
		return b.State == farm.Up && b.Address.Has(p.family)
	})
	if i < 0 {
		return false
	}
	p.backend = p.farm.Backends[i]
	if p.backend.Port != 0 {
		p.backendPort = p.backend.Port
	}
	route := s.machine.routes.lookUp(p.backend.Address[p.family])
	p.local, p.backendLink = route.kind == local, s.machine.names[route.link]
	return true
}

var protocolNumbers = map[farm.Protocol]uint8{
	farm.TCP: unix.IPPROTO_TCP, farm.UDP: unix.IPPROTO_UDP, farm.SCTP: unix.IPPROTO_SCTP,
}

func (p flow) tracked() bool { return p.farm.Mode != farm.Stateless && p.farm.Mode != farm.DSR }

// request is the first packet of the flow as a client sends it.
func (p flow) request(in string, onThisMachine bool) foreign.Packet {
	family := uint8(unix.NFPROTO_IPV4)
	if p.family == addr.IP6 {
		family = unix.NFPROTO_IPV6
	}
	return foreign.Packet{Family: family, In: in, Destination: p.service, Protocol: protocolNumbers[p.protocol],
		DestinationPort: p.servicePort, State: foreign.New, DestinationLocal: onThisMachine}
}

// handedOn is the first packet as farmc hands it on to the backend.
func (p flow) handedOn(in string) foreign.Packet {
	packet := p.request(in, p.local)
	if p.farm.Mode == farm.Local {
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
	packet.Out, packet.Destination, packet.DestinationPort, packet.Reply = out, netip.Addr{}, 0, true
	if p.tracked() {
		packet.State = foreign.Established
		packet.Source, packet.SourcePort = p.backend.Address[p.family], p.backendPort
	}
	return packet
}
