package preflight

import (
	"fmt"
	"net"
	"net/netip"

	"farmc/compiler/farm"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A tunnel of this machine gets packets of a protocol without ports at an address of this machine.
type tunnel struct {
	name     string
	protocol farm.Protocol
	at       netip.Addr
}

// tunnels finds tunnels that lose packets to a farm, as programs lose connections to a farm that takes their port.
func (s *search) tunnels() {
	frontends := s.portlessFrontends()
	if len(frontends) == 0 {
		return
	}
	states, _ := netlink.XfrmStateList(netlink.FAMILY_ALL)
	for _, t := range append(s.machine.tunnelLinks(), tunnelsOfIPsec(states)...) {
		if !s.machine.isOwn(t.at) { // the kernel unpacks none
			continue
		}
		d := t.taker(frontends)
		if d == nil || d.Farm.TakeOver || s.machine.serves(d.Farm) {
			continue
		}
		s.found.add(Finding{Kind: "tunnel", Object: fmt.Sprintf("%s %s %s", d.Farm.Name, t.name, t.at), Effect: Harms,
			Place:   d.Listen.Place,
			Message: fmt.Sprintf("%s gets %s packets at %s, and the farm takes them", t.name, t.protocol, t.at),
			Advice: "listen on another address or protocol; " +
				"or take-over = true, if the tunnel is to get no more packets",
		}, d.Farm)
	}
}

// portlessFrontends are the frontends that take a protocol without ports, or all protocols.
func (s *search) portlessFrontends() (out []farm.Frontend) {
	for _, f := range s.farms {
		for i := range f.Listen {
			if !f.Listen[i].Portless() {
				continue
			}
			for _, d := range f.Frontends() {
				if d.Portless() {
					out = append(out, d)
				}
			}
			break
		}
	}
	return out
}

// taker returns the most specific of the frontends that takes packets of the tunnel, to an address of this machine; nil
// if there is none.
func (t tunnel) taker(frontends []farm.Frontend) (found *farm.Frontend) {
	for i := range frontends {
		d := &frontends[i]
		if d.Takes(t.at, true, t.protocol, 0) && (found == nil || d.Compare(*found) < 0) {
			found = d
		}
	}
	return found
}

// tunnelLinks are the interfaces that unpack packets at an address of their own. Tunnels in UDP are left out, because
// a socket has their port.
func (m *machine) tunnelLinks() (out []tunnel) {
	for name, l := range m.links {
		var at net.IP
		protocol := farm.GRE
		encapsulated := uint16(0)
		switch l := l.(type) {
		case *netlink.Gretun:
			at, encapsulated = l.Local, l.EncapType
		case *netlink.Gretap:
			at, encapsulated = l.Local, l.EncapType
		case *netlink.Iptun:
			at, encapsulated, protocol = l.Local, l.EncapType, "proto-4"
		case *netlink.Sittun:
			at, encapsulated, protocol = l.Local, l.EncapType, "proto-41"
		}
		if a, ok := netip.AddrFromSlice(at); ok && encapsulated == 0 {
			out = append(out, tunnel{"interface " + name, protocol, a.Unmap()})
		}
	}
	return out
}

// tunnelsOfIPsec are the states of IPsec, each address and protocol once. Tunnels in UDP are left out.
func tunnelsOfIPsec(states []netlink.XfrmState) (out []tunnel) {
	protocols := map[netlink.Proto]farm.Protocol{unix.IPPROTO_ESP: farm.ESP, unix.IPPROTO_AH: farm.AH}
	seen := map[tunnel]bool{}
	for i := range states {
		o := &states[i]
		a, ok := netip.AddrFromSlice(o.Dst)
		t := tunnel{"IPsec (ip xfrm state)", protocols[o.Proto], a.Unmap()}
		if ok && t.protocol != "" && o.Encap == nil && !seen[t] {
			seen[t] = true
			out = append(out, t)
		}
	}
	return out
}
