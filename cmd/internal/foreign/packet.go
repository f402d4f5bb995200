package foreign

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"farmc/cmd/internal/nfnetlink"

	"golang.org/x/sys/unix"
)

// A Packet is the first packet of a connection, or an answer to it, as it passes a hook. A zero field is unknown.
type Packet struct {
	Family           uint8 // unix.NFPROTO_IPV4 or NFPROTO_IPV6
	In, Out          string
	Source           netip.Addr
	Destination      netip.Addr
	Protocol         uint8
	SourcePort       uint16
	DestinationPort  uint16
	State            State
	Translated       bool // its destination was translated by connection tracking
	Reply            bool
	DestinationLocal bool           // the destination is an address of this machine
	Asked            netip.AddrPort // the destination of the connection's first packet, as connection tracking has it
	Mark             Mark
	ConnectionMark   Mark

	Type      uint8  // of ICMPv6; 0: another protocol
	Operation uint16 // of ARP: unix.NFPROTO_ARP is the family then, and Source and Destination are those of the request
}

// fields is a set of fields of a packet.
type fields uint

// The fields. Others always count.
const (
	in fields = 1 << iota
	out
	source
	destination
	ports
	state
	isLocal
	mark
	connectionMark
	asked
)

// only returns the packet with the fields of a set; the others are unknown.
func (p Packet) only(of fields) Packet {
	if of&in == 0 {
		p.In = ""
	}
	if of&out == 0 {
		p.Out = ""
	}
	if of&source == 0 {
		p.Source = netip.Addr{}
	}
	if of&destination == 0 {
		p.Destination = netip.Addr{}
	}
	if of&ports == 0 {
		p.SourcePort, p.DestinationPort = 0, 0
	}
	if of&state == 0 {
		p.State, p.Translated = 0, false
	}
	if of&isLocal == 0 {
		p.DestinationLocal = false
	}
	if of&mark == 0 {
		p.Mark = Mark{}
	}
	if of&connectionMark == 0 {
		p.ConnectionMark = Mark{}
	}
	if of&asked == 0 {
		p.Asked = netip.AddrPort{}
	}
	return p
}

// ReadsMarks and WritesMarks report whether the outcome of a chain depends on marks of packets or connections, and
// whether it may change them.
func (r *Ruleset) ReadsMarks(c *Chain) bool  { return r.usesOf(c).reads&(mark|connectionMark) != 0 }
func (r *Ruleset) WritesMarks(c *Chain) bool { return r.usesOf(c).writes&(mark|connectionMark) != 0 }

// A usage is the fields of packets that chains depend on, and the fields that they may change.
type usage struct{ reads, writes fields }

// usesOf returns the usage of a chain. Jumps can be in maps, so all chains of the table count.
func (r *Ruleset) usesOf(c *Chain) (all usage) {
	id := chainID{c.Family, c.Table, ""}
	if known, ok := r.uses[id]; ok {
		return known
	}
	for _, other := range r.chains {
		if other.Family != c.Family || other.Table != c.Table {
			continue
		}
		for _, e := range slices.Concat(other.rules...) {
			all.reads |= e.reads
			all.writes |= e.writes
		}
	}
	r.uses[id] = all
	return all
}

// A State is a set of bits of ct state.
type State uint32

// The states.
const (
	Established State = 1 << 1
	New         State = 1 << 3
	Invalid     State = 1 << 0
	Untracked   State = 1 << 6
)

// A value is data of which some bits are known.
type value struct{ data, known []byte }

func known(data []byte) value {
	mask := make([]byte, len(data))
	for i := range mask {
		mask[i] = 0xff
	}
	return value{data, mask}
}

func unknown(size int) value { return value{make([]byte, size), make([]byte, size)} }

func number32(n uint32) value { return known(binary.NativeEndian.AppendUint32(nil, n)) }

// set overwrites bytes with known ones.
func (v value) set(at int, data []byte) {
	copy(v.data[at:], data)
	copy(v.known[at:], known(data).known)
}

// part returns a part of the value. Bytes beyond its end are unknown.
func (v value) part(from, size int) value {
	if from >= 0 && from+size <= len(v.data) {
		return value{v.data[from : from+size], v.known[from : from+size]}
	}
	out := unknown(size)
	if from >= 0 && from < len(v.data) {
		copy(out.data, v.data[from:])
		copy(out.known, v.known[from:])
	}
	return out
}

// etherType is the protocol in the header of the link layer.
func (p Packet) etherType() []byte {
	protocols := map[uint8]uint16{unix.NFPROTO_IPV4: unix.ETH_P_IP, unix.NFPROTO_IPV6: unix.ETH_P_IPV6,
		unix.NFPROTO_ARP: unix.ETH_P_ARP}
	return binary.BigEndian.AppendUint16(nil, protocols[p.Family])
}

// link returns the header of the link layer, without the hardware addresses.
func (p Packet) link() value {
	header := unknown(14)
	header.set(12, p.etherType())
	return header
}

// arp returns the packet of ARP, without the hardware addresses.
func (p Packet) arp() value {
	packet := unknown(28)
	packet.set(0, []byte{0, 1, 8, 0, 6, 4}) // Ethernet and IPv4
	packet.set(6, binary.BigEndian.AppendUint16(nil, p.Operation))
	if p.Source.IsValid() {
		packet.set(14, p.Source.AsSlice())
	}
	if p.Destination.IsValid() {
		packet.set(24, p.Destination.AsSlice())
	}
	return packet
}

// network returns the header of the network layer.
func (p Packet) network() value {
	if p.Family == unix.NFPROTO_ARP {
		return p.arp()
	}
	header, from, to, protocol := unknown(20), 12, 16, 9
	if p.Family == unix.NFPROTO_IPV6 {
		header, from, to, protocol = unknown(40), 8, 24, 6
	}
	header.set(protocol, []byte{p.Protocol})
	if p.Source.IsValid() {
		header.set(from, p.Source.AsSlice())
	}
	if p.Destination.IsValid() {
		header.set(to, p.Destination.AsSlice())
	}
	return header
}

// transport returns the header of the transport layer.
func (p Packet) transport() value {
	header := unknown(20)
	if p.SourcePort != 0 {
		header.set(0, binary.BigEndian.AppendUint16(nil, p.SourcePort))
	}
	if p.DestinationPort != 0 {
		header.set(2, binary.BigEndian.AppendUint16(nil, p.DestinationPort))
	}
	if p.Type != 0 {
		header.set(0, []byte{p.Type, 0})
	}
	if p.Protocol == unix.IPPROTO_TCP {
		const syn, synAck = 0x02, 0x12
		flags := byte(syn)
		if p.Reply {
			flags = synAck
		}
		header.set(13, []byte{flags})
	}
	return header
}

// status returns the bits of ct status: that of destination NAT, and that of a reply seen.
func (p Packet) status() value {
	const seenReply, destinationNAT = 1 << 1, 1 << 5
	bits := uint32(0)
	if p.Translated {
		bits |= destinationNAT
	}
	if p.Reply {
		bits |= seenReply
	}
	v := number32(bits)
	v.known = binary.NativeEndian.AppendUint32(nil, seenReply|destinationNAT)
	return v
}

func interfaceName(name string) value {
	if name == "" {
		return unknown(unix.IFNAMSIZ)
	}
	padded := make([]byte, unix.IFNAMSIZ)
	copy(padded, name)
	return known(padded)
}

// metaFields are the fields that the value of a key of NFTA_META_KEY depends on.
var metaFields = map[uint32]fields{unix.NFT_META_IIFNAME: in, unix.NFT_META_IIF: in, unix.NFT_META_IIFGROUP: in,
	unix.NFT_META_IIFTYPE: in, nfnetlink.MetaInKind: in, unix.NFT_META_OIFNAME: out, unix.NFT_META_OIF: out,
	unix.NFT_META_OIFGROUP: out, unix.NFT_META_OIFTYPE: out, nfnetlink.MetaOutKind: out, unix.NFT_META_MARK: mark}

// meta returns a property of the packet for a key of NFTA_META_KEY.
func (s *step) meta(key uint32) value {
	p := s.packet
	switch key {
	case unix.NFT_META_PROTOCOL:
		return known(p.etherType())
	case unix.NFT_META_IIFNAME:
		return interfaceName(p.In)
	case unix.NFT_META_OIFNAME:
		return interfaceName(p.Out)
	case unix.NFT_META_IIF, unix.NFT_META_IIFGROUP, unix.NFT_META_IIFTYPE, nfnetlink.MetaInKind:
		return s.ruleset.ofLink(p.In, key)
	case unix.NFT_META_OIF, unix.NFT_META_OIFGROUP, unix.NFT_META_OIFTYPE, nfnetlink.MetaOutKind:
		return s.ruleset.ofLink(p.Out, key)
	case unix.NFT_META_PKTTYPE:
		return s.linkDestination()
	case unix.NFT_META_NFPROTO:
		if s.table.family == unix.NFPROTO_BRIDGE {
			return known([]byte{unix.NFPROTO_BRIDGE})
		}
		return known([]byte{p.Family})
	case unix.NFT_META_L4PROTO:
		return known([]byte{p.Protocol})
	case unix.NFT_META_MARK:
		return p.Mark.value()
	}
	return unknown(16)
}

// ofLink returns a property of an interface.
func (r *Ruleset) ofLink(name string, key uint32) value {
	l, ok := r.Links[name]
	if !ok {
		return unknown(16)
	}
	switch key {
	case unix.NFT_META_IIFGROUP, unix.NFT_META_OIFGROUP:
		return number32(l.Group)
	case unix.NFT_META_IIFTYPE, unix.NFT_META_OIFTYPE:
		if l.Type == 0 {
			return unknown(2)
		}
		return known(hostOrder.AppendUint16(nil, l.Type))
	case nfnetlink.MetaInKind, nfnetlink.MetaOutKind:
		return interfaceName(l.Kind)
	}
	return number32(uint32(l.Index))
}

// linkDestination returns the kind of receiver on the link (PACKET_HOST): packets that reach the hooks of IP are for
// this machine, except for neighbour discovery. Others are not known.
func (s *step) linkDestination() value {
	const host = 0
	p, family := s.packet, s.table.family
	isIP := p.Family == unix.NFPROTO_IPV4 || p.Family == unix.NFPROTO_IPV6
	if !isIP || p.Type != 0 || family == unix.NFPROTO_BRIDGE || family == unix.NFPROTO_NETDEV {
		return unknown(1)
	}
	return known([]byte{host})
}

// trackingFields are the fields that the value of a key of NFTA_CT_KEY depends on.
var trackingFields = map[uint32]fields{unix.NFT_CT_STATE: state, unix.NFT_CT_STATUS: state,
	unix.NFT_CT_DST:         asked | state,
	nfnetlink.ConnectionTo4: asked | state, nfnetlink.ConnectionTo6: asked | state,
	unix.NFT_CT_PROTO_DST: asked | state}

// tracking returns a property of the connection for a key of NFTA_CT_KEY, of the direction of answers or of requests.
func (p Packet) tracking(key uint32, ofAnswers bool) value {
	switch key {
	case unix.NFT_CT_STATE:
		return number32(uint32(p.State))
	case unix.NFT_CT_STATUS:
		return p.status()
	case unix.NFT_CT_DIRECTION:
		return known([]byte{map[bool]byte{true: 1}[p.Reply]})
	case unix.NFT_CT_DST, nfnetlink.ConnectionTo4, nfnetlink.ConnectionTo6:
		if a := p.asked().Addr(); a.IsValid() && !ofAnswers {
			return known(a.AsSlice())
		}
	case unix.NFT_CT_PROTO_DST:
		if port := p.asked().Port(); port != 0 && !ofAnswers {
			return known(binary.BigEndian.AppendUint16(nil, port))
		}
	}
	return unknown(16)
}

// asked is the destination of the connection's first packet; zero if it is not known, or there is no connection.
func (p Packet) asked() netip.AddrPort {
	if p.hasNoConnection() {
		return netip.AddrPort{}
	}
	return p.Asked
}
