package foreign

import (
	"encoding/binary"
	"net/netip"

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
	DestinationLocal bool // the destination is an address of this machine
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
	out := unknown(size)
	if from >= 0 && from < len(v.data) {
		copy(out.data, v.data[from:])
		copy(out.known, v.known[from:])
	}
	return out
}

// network returns the header of the network layer.
func (p Packet) network() value {
	header, source, destination, protocol := unknown(20), 12, 16, 9
	if p.Family == unix.NFPROTO_IPV6 {
		header, source, destination, protocol = unknown(40), 8, 24, 6
	}
	header.set(protocol, []byte{p.Protocol})
	if p.Source.IsValid() {
		header.set(source, p.Source.AsSlice())
	}
	if p.Destination.IsValid() {
		header.set(destination, p.Destination.AsSlice())
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

// meta returns a property of the packet for a key of NFTA_META_KEY.
func (p Packet) meta(key uint32) value {
	switch key {
	case unix.NFT_META_PROTOCOL:
		protocol := uint16(unix.ETH_P_IP)
		if p.Family == unix.NFPROTO_IPV6 {
			protocol = unix.ETH_P_IPV6
		}
		return known(binary.BigEndian.AppendUint16(nil, protocol))
	case unix.NFT_META_IIFNAME:
		return interfaceName(p.In)
	case unix.NFT_META_OIFNAME:
		return interfaceName(p.Out)
	case unix.NFT_META_NFPROTO:
		return known([]byte{p.Family})
	case unix.NFT_META_L4PROTO:
		return known([]byte{p.Protocol})
	}
	return unknown(16)
}

// tracking returns a property of the connection for a key of NFTA_CT_KEY.
func (p Packet) tracking(key uint32) value {
	switch key {
	case unix.NFT_CT_STATE:
		return number32(uint32(p.State))
	case unix.NFT_CT_STATUS:
		return p.status()
	case unix.NFT_CT_DIRECTION:
		return known([]byte{map[bool]byte{true: 1}[p.Reply]})
	}
	return unknown(16)
}
