package preflight

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"farmc/cmd/internal/shell"
	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// backends finds backends that packets cannot reach: without a route, without an answer to ARP or neighbour discovery,
// on this machine behind an ingress hook, or at the service of another farm.
func (s *search) backends() {
	known := readNeighbours()
	services := s.services()
	for _, f := range s.farms {
		for i := range f.Backends {
			b := &f.Backends[i]
			if b.State != farm.Up {
				continue
			}
			for _, family := range addr.Families {
				if f.Listens(family) && b.Address.Has(family) {
					s.backend(f, b, b.Address[family], known)
					s.loop(f, b, family, services)
				}
			}
		}
	}
}

func (s *search) backend(f *farm.Farm, b *farm.Backend, a netip.Addr, known *neighbours) {
	r := s.machine.routes.lookUp(a)
	found := Finding{Kind: "backend", Effect: Harms, Place: b.Place}
	switch {
	case r.kind == local && len(f.Interfaces) > 0 &&
		(f.Mode == farm.Stateless || f.Mode == farm.DSR && !s.machine.has(a)):
		found.Message = fmt.Sprintf(
			"backend %s: %s is an address of this machine, but mode %s at ingress reaches only other machines",
			b.Name, a, f.Mode)
		found.Advice = "use mode dnat or local, or mode stateless without interfaces"
	case r.kind == nowhere && f.Mode != farm.Local && s.machine.downLink(a) != "":
		link := s.machine.downLink(a)
		found.Message = fmt.Sprintf("backend %s: %s, the interface in the network of %s, is down", b.Name, link, a)
		found.Commands = []string{"ip link set dev " + shell.Quote(link) + " up"}
		found.Advice = "routes by other machines on this link are set anew by the network configuration"
	case r.kind == nowhere && b.MAC == "" && f.Mode != farm.Local:
		found.Message = fmt.Sprintf("backend %s: this machine has no route to %s", b.Name, a)
		found.Advice = "add a route to the network configuration, or correct the address"
	case r.kind != local && b.MAC == "" && known.silent(r.next):
		found.Message = fmt.Sprintf("backend %s: %s does not answer on the link of %s", b.Name, r.next,
			s.machine.names[r.link])
		found.Advice = "check that the machine runs and has the address"
	default:
		return
	}
	found.Object = a.String()
	if f.Mode != farm.Local && alone(f) {
		found.Effect = Stops
	}
	s.found.add(found, f)
}

// downLink is the interface in the network of an address if it is down; "" if there is none. The kernel keeps its
// addresses of IPv4, and removes the addresses of IPv6 and all routes.
func (m *machine) downLink(a netip.Addr) string {
	link := m.connected(a)
	if l := m.links[link]; l != nil && l.Attrs().Flags&net.FlagUp == 0 {
		return link
	}
	return ""
}

// alone reports whether the farm has a single backend that is up.
func alone(f *farm.Farm) bool {
	up := 0
	for _, b := range f.Backends {
		if b.State == farm.Up {
			up++
		}
	}
	return up == 1
}

// services are the frontends with an address or a network.
func (s *search) services() *addr.NetworkTable[[]farm.Frontend] {
	all := &addr.NetworkTable[[]farm.Frontend]{}
	for _, f := range s.farms {
		for _, d := range f.Frontends() {
			if d.Address.IsValid() {
				at := all.At(d.Network())
				*at = append(*at, d)
			}
		}
	}
	return all
}

// loop finds a backend that is a service of a farm. A packet is translated once, so it does not reach the backends of
// that farm.
func (s *search) loop(f *farm.Farm, b *farm.Backend, family addr.Family, services *addr.NetworkTable[[]farm.Frontend]) {
	a := b.Address[family]
	var here []farm.Frontend
	for all := range services.Holding(a) {
		here = append(here, *all...)
	}
	if len(here) == 0 {
		return
	}
	for _, own := range f.Frontends() {
		moves := b.Moves(own.Ports)
		i := slices.IndexFunc(here, func(d farm.Frontend) bool {
			return d.Farm.Mode != farm.Local &&
				(d.Protocol == "" || own.Protocol == "" || d.Protocol == own.Protocol) &&
				(d.Protocol == "" || slices.ContainsFunc(moves, func(m farm.PortMove) bool {
					return d.Ports.First <= m.To.Last && m.To.First <= d.Ports.Last
				}))
		})
		if i < 0 || own.Family != family {
			continue
		}
		effect := Harms
		if alone(f) {
			effect = Stops
		}
		s.found.add(Finding{Kind: "loop", Object: f.Name + " " + b.Name, Effect: effect, Place: b.Place,
			Message: fmt.Sprintf("backend %s: %s is the service of farm %s, and a packet is handed on only once",
				b.Name, a, here[i].Farm.Name),
			Advice: "name the backends of that farm"}, f)
		return
	}
}
