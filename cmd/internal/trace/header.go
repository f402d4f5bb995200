package trace

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"farmc/compiler/farm"
)

// A header is the addresses, the protocol and the ports of a packet.
type header struct {
	source, destination netip.AddrPort // port 0: the protocol has none, or this is a later fragment
	protocol            uint8
	flags               uint8 // of TCP
}

// parseHeader parses the headers of the network and transport layers; nil if they are of neither IP version. The kernel
// gives the headers as far as it knows the protocol.
func parseHeader(network, transport []byte) *header {
	var h header
	var from, to netip.Addr
	switch {
	case len(network) >= 20 && network[0]>>4 == 4:
		from, to = netip.AddrFrom4([4]byte(network[12:16])), netip.AddrFrom4([4]byte(network[16:20]))
		h.protocol = network[9]
	case len(network) >= 40 && network[0]>>4 == 6:
		from, to = netip.AddrFrom16([16]byte(network[8:24])), netip.AddrFrom16([16]byte(network[24:40]))
		h.protocol = lastHeader(network)
	default:
		return nil
	}
	var ports [2]uint16
	if farm.ProtocolOf(int(h.protocol)).HasPorts() && len(transport) >= 4 {
		ports = [2]uint16{binary.BigEndian.Uint16(transport), binary.BigEndian.Uint16(transport[2:])}
	}
	if h.protocol == tcp && len(transport) >= 14 {
		h.flags = transport[13]
	}
	h.source, h.destination = netip.AddrPortFrom(from, ports[0]), netip.AddrPortFrom(to, ports[1])
	return &h
}

// lastHeader gives the protocol after the extension headers of IPv6 that the kernel gives.
func lastHeader(network []byte) uint8 {
	const hopByHop, routing, fragment, options = 0, 43, 44, 60
	next, at := network[6], 40
	for at+8 <= len(network) {
		switch next {
		case hopByHop, routing, options:
			next, at = network[at], at+8+8*int(network[at+1])
		case fragment:
			next, at = network[at], at+8
		default:
			return next
		}
	}
	return next
}

// flagNames are the flags of TCP by their bits, from the lowest.
var flagNames = []string{"fin", "syn", "rst", "psh", "ack", "urg"}

// flagWords describes the flags of TCP; "" for other protocols.
func (h *header) flagWords() string {
	var words []string
	for i, name := range flagNames {
		if h.flags&(1<<i) != 0 {
			words = append(words, name)
		}
	}
	return strings.Join(words, " ")
}
