package farm

import (
	"cmp"
	"net/netip"
	"slices"

	"farmc/compiler/addr"
)

// A Frontend is an address or a network, a protocol and ports that clients of a farm connect to, in one family.
type Frontend struct {
	Specificity Specificity
	Family      addr.Family
	Address     netip.Addr // the first one of a network; not valid: every address of this machine
	Protocol    Protocol   // "": every protocol, of a whole address
	Ports       Ports      // zero: of a whole address, and of a protocol without ports
	Farm        *Farm
	Listen      *Listen // the entry of the farm's listen that it comes from
}

// Frontends gives the farm's frontends, most specific first, then by family, address, protocol and port. Entries of
// listen that overlap are one frontend.
func (f *Farm) Frontends() []Frontend {
	var out []Frontend
	for i := range f.Listen {
		l := &f.Listen[i]
		for _, family := range l.Families {
			if !l.Address.IsValid() && !f.reaches(family) {
				continue
			}
			for _, protocol := range l.Protocols {
				out = append(out, l.frontends(f, family, protocol)...)
			}
		}
	}
	slices.SortStableFunc(out, Frontend.Compare)
	return joinOverlapping(out)
}

func (l *Listen) frontends(f *Farm, family addr.Family, protocol Protocol) []Frontend {
	d := Frontend{Family: family, Address: l.Address, Protocol: protocol, Farm: f, Listen: l}
	switch {
	case l.Whole():
		d.Specificity, d.Protocol = WholeAddress.OfNetwork(l.Bits), ""
		return []Frontend{d}
	case l.Portless():
		d.Specificity = OneProtocol.OfNetwork(l.Bits)
		return []Frontend{d}
	}
	out := make([]Frontend, len(l.Ports))
	for i, ports := range l.Ports {
		d.Ports, d.Specificity = ports, PortRange
		if ports.Single() {
			d.Specificity = ExactPort
		}
		if l.Address.IsValid() {
			d.Specificity = d.Specificity.OfNetwork(l.Bits)
		} else {
			d.Specificity += AnyAddressPort - ExactPort
		}
		out[i] = d
	}
	return out
}

// Whole reports whether the frontend takes all protocols of its address or network.
func (d Frontend) Whole() bool { return d.Specificity.Kind() == WholeAddress }

// Portless reports whether the frontend takes a protocol without ports, or all protocols.
func (d Frontend) Portless() bool { return d.Specificity.Kind() == OneProtocol || d.Whole() }

// Network is the network, or the address as a network of one; not valid: every address of this machine.
func (d Frontend) Network() netip.Prefix { return newNetwork(d.Address, d.Specificity.Bits()) }

// Has reports whether clients that ask for the address can mean the frontend. Every address of this machine has all
// addresses of the family.
func (d Frontend) Has(a netip.Addr) bool {
	return d.Family == addr.FamilyOf(a) && (!d.Address.IsValid() || d.Network().Contains(a))
}

// Compare orders frontends: most specific first, then by family, address, protocol and first port.
func (d Frontend) Compare(o Frontend) int {
	return cmp.Or(
		cmp.Compare(d.Specificity, o.Specificity),
		cmp.Compare(d.Family, o.Family),
		d.Address.Compare(o.Address),
		cmp.Compare(d.Protocol, o.Protocol),
		cmp.Compare(d.Ports.First, o.Ports.First),
	)
}

// Takes reports whether a packet to an address, a protocol and a port belongs to the frontend. The port is 0 for a
// protocol without ports. An address of this machine is one but loopback.
func (d Frontend) Takes(to netip.Addr, ofThisMachine bool, protocol Protocol, port uint16) bool {
	if !d.Has(to) || !d.Address.IsValid() && !ofThisMachine {
		return false
	}
	return d.Whole() ||
		d.Protocol == protocol && (d.Portless() || d.Ports.First <= port && port <= d.Ports.Last)
}

// SamePackets reports whether two frontends match the same packets.
func (d Frontend) SamePackets(o Frontend) bool {
	return d.Specificity == o.Specificity && d.Family == o.Family && d.Address == o.Address &&
		d.Protocol == o.Protocol &&
		d.Ports == o.Ports && d.Farm.Zone == o.Farm.Zone
}

// overlaps reports whether two frontends of one specificity, in the order of Compare, have a packet in common.
func (d Frontend) overlaps(next Frontend) bool {
	return d.Specificity == next.Specificity && d.Family == next.Family && d.Address == next.Address &&
		d.Protocol == next.Protocol && d.Ports.Last >= next.Ports.First
}

// joinOverlapping makes one frontend of neighbours that overlap.
func joinOverlapping(sorted []Frontend) []Frontend {
	var out []Frontend
	for _, d := range sorted {
		if n := len(out); n > 0 && out[n-1].overlaps(d) {
			out[n-1].Ports.Last = max(out[n-1].Ports.Last, d.Ports.Last)
			continue
		}
		out = append(out, d)
	}
	return out
}
