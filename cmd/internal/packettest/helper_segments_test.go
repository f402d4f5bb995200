package packettest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"farmc/cmd/internal/netlab"
)

// The flags of TCP (RFC 9293, 3.1).
const flagFIN, flagSYN, flagRST, flagPSH, flagACK, flagURG, flagECE, flagCWR = 1, 2, 4, 8, 16, 32, 64, 128

// A segment is a TCP packet without a connection.
type segment struct {
	name  string
	flags byte
	mss   uint16 // as an option; none if zero
}

// Segments with invalid flags or options, segments of connections that do not exist, and segments that open one.
var (
	invalidSegments = []segment{
		{"null", 0, 0}, {"xmas", flagFIN | flagPSH | flagURG, 0}, {"everything", 63, 0},
		{"syn-fin", flagSYN | flagFIN, 0}, {"syn-rst", flagSYN | flagRST, 0}, {"fin-without-ack", flagFIN, 0},
		{"tiny-mss", flagSYN, 500}, {"no-mss-to-speak-of", flagSYN, 1},
	}
	unrelatedSegments = []segment{{"ack", flagACK, 0}, {"data", flagACK | flagPSH, 0}, {"fin", flagFIN | flagACK, 0},
		{"rst", flagRST, 0}, {"syn-ack", flagSYN | flagACK, 0}}
	openingSegments = []segment{{"syn", flagSYN, 0}, {"small-mss", flagSYN, 536},
		{"syn-with-ecn", flagSYN | flagECE | flagCWR, 1460}}
)

// bytes is the segment in a packet.
func (g segment) bytes(from, to netip.AddrPort) []byte { return g.numbered(from, to, 4711, 0) }

// numbered is the segment in a packet, with a sequence number and an acknowledgement.
func (g segment) numbered(from, to netip.AddrPort, sequence, acknowledged uint32) []byte {
	message := header(from.Port(), to.Port())
	binary.BigEndian.PutUint32(message[4:], sequence)
	binary.BigEndian.PutUint32(message[8:], acknowledged)
	message[12], message[13] = 5<<4, g.flags
	binary.BigEndian.PutUint16(message[14:], 1<<13)
	if g.mss != 0 {
		message = binary.BigEndian.AppendUint16(append(message, 2, 4), g.mss)
		message[12] = 6 << 4
	}
	binary.BigEndian.PutUint16(message[16:], transportChecksum(protocolTCP, from.Addr(), to.Addr(), message))
	return netlab.Packet(from.Addr(), to.Addr(), protocolTCP, message)
}

// transportChecksum is the checksum of TCP (RFC 9293, 3.1) and UDP (RFC 768). Connection tracking ignores packets with
// a wrong checksum.
func transportChecksum(protocol byte, from, to netip.Addr, message []byte) uint16 {
	data := append(append(from.AsSlice(), to.AsSlice()...), 0, protocol)
	data = append(binary.BigEndian.AppendUint16(data, uint16(len(message))), message...)
	if len(data)%2 != 0 {
		data = append(data, 0)
	}
	sum := uint32(0)
	for i := 0; i+1 < len(data); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(data[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// filterSegments: a client sends segments. The segments in passed arrive at the backend, and the others do not.
type filterSegments struct {
	as              int
	to              string
	dropped, passed []segment
}

// lastSegment comes after all others and marks their end.
var lastSegment = segment{"the last", flagSYN, 1400}

func (f filterSegments) do(s *testbed) error {
	for _, q := range s.targets("", "tcp", f.to) {
		arrived, err := f.arrived(s, q, append(append([]segment(nil), f.dropped...), f.passed...))
		if err != nil {
			return q.wrap(err)
		}
		for _, g := range f.dropped {
			if arrived[g.name] {
				err = errors.Join(err, fmt.Errorf("%s passes", g.name))
			}
		}
		for _, g := range f.passed {
			if !arrived[g.name] {
				err = errors.Join(err, fmt.Errorf("%s does not pass", g.name))
			}
		}
		if err != nil {
			return q.wrap(err)
		}
	}
	return nil
}

// arrived returns the names of the segments that arrive at the first backend, each from a port of its own.
func (f filterSegments) arrived(s *testbed, q target, all []segment) (map[string]bool, error) {
	tap, err := s.Backends[0].Tap("eth0")
	if err != nil {
		return nil, err
	}
	defer tap.Close()
	from, names := clientAddress(f.as, q.to.Addr().Is6()), map[uint16]string{}
	for _, g := range append(all, lastSegment) {
		port := uint16(10000 + s.sourcePorts.Add(1))
		names[port] = g.name
		if err := s.Client.SendPacket(g.bytes(netip.AddrPortFrom(from, port), q.to)); err != nil {
			return nil, err
		}
	}
	arrived := map[string]bool{}
	_, err = tap.Next(answerTimeout, func(packet []byte) bool {
		if protocolOf(packet) != protocolTCP || !strings.Contains(string(packet), string(from.AsSlice())) {
			return false
		}
		name := names[binary.BigEndian.Uint16(packet[len(packet)-int(tcpLength(packet)):])]
		arrived[name] = true
		return name == lastSegment.name
	})
	return arrived, err
}

// tcpLength is the length of the TCP part of a packet.
func tcpLength(packet []byte) int {
	if packet[0]>>4 == 6 {
		return int(binary.BigEndian.Uint16(packet[4:]))
	}
	return int(binary.BigEndian.Uint16(packet[2:])) - 20
}
