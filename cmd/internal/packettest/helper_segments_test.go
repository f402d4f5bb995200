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

// The segments that nobody sends who means well, those that belong to a connection that isn't there, and those that open
// one.
var (
	bogusSegments = []segment{
		{"null", 0, 0}, {"xmas", flagFIN | flagPSH | flagURG, 0}, {"everything", 63, 0},
		{"syn-fin", flagSYN | flagFIN, 0}, {"syn-rst", flagSYN | flagRST, 0}, {"fin-without-ack", flagFIN, 0},
		{"tiny-mss", flagSYN, 500}, {"no-mss-to-speak-of", flagSYN, 1},
	}
	strandedSegments = []segment{{"ack", flagACK, 0}, {"data", flagACK | flagPSH, 0}, {"fin", flagFIN | flagACK, 0}, {"rst", flagRST, 0}, {"syn-ack", flagSYN | flagACK, 0}}
	openingSegments  = []segment{{"syn", flagSYN, 0}, {"small-mss", flagSYN, 536}, {"syn-with-ecn", flagSYN | flagECE | flagCWR, 1460}}
)

// bytes is the segment in a packet.
func (g segment) bytes(from, to netip.AddrPort) []byte {
	message := header(from.Port(), to.Port())
	binary.BigEndian.PutUint32(message[4:], 4711)
	message[12], message[13] = 5<<4, g.flags
	binary.BigEndian.PutUint16(message[14:], 1<<13)
	if g.mss != 0 {
		message = binary.BigEndian.AppendUint16(append(message, 2, 4), g.mss)
		message[12] = 6 << 4
	}
	binary.BigEndian.PutUint16(message[16:], transportChecksum(protocolTCP, from.Addr(), to.Addr(), message))
	return netlab.Packet(from.Addr(), to.Addr(), protocolTCP, message)
}

// transportChecksum is that of RFC 9293, 3.1, and of RFC 768: connection tracking looks at no packet whose checksum is wrong.
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

// sift has a client send segments, of which those that pass arrive at the backend, and the others don't.
type sift struct {
	as           int
	to           string
	held, passed []segment
}

// lastSegment comes after all others and tells that there are no more of them.
var lastSegment = segment{"the last", flagSYN, 1400}

func (f sift) do(s *stage) error {
	for _, q := range s.questions("", "tcp", f.to) {
		arrived, err := f.arrived(s, q, append(append([]segment(nil), f.held...), f.passed...))
		if err != nil {
			return q.blame(err)
		}
		for _, g := range f.held {
			if arrived[g.name] {
				err = errors.Join(err, fmt.Errorf("%s has passed", g.name))
			}
		}
		for _, g := range f.passed {
			if !arrived[g.name] {
				err = errors.Join(err, fmt.Errorf("%s has not passed", g.name))
			}
		}
		if err != nil {
			return q.blame(err)
		}
	}
	return nil
}

// arrived says by name which segments come to the first backend, each from a port of its own.
func (f sift) arrived(s *stage, q question, all []segment) (map[string]bool, error) {
	tap, err := s.Backends[0].Tap("eth0")
	if err != nil {
		return nil, err
	}
	defer tap.Close()
	from, names := clientAddress(f.as, q.to.Addr().Is6()), map[uint16]string{}
	for _, g := range append(all, lastSegment) {
		port := uint16(10000 + s.asked.Add(1))
		names[port] = g.name
		if err := s.Client.SendPacket(g.bytes(netip.AddrPortFrom(from, port), q.to)); err != nil {
			return nil, err
		}
	}
	arrived := map[string]bool{}
	_, err = tap.Next(patience, func(packet []byte) bool {
		if protocolOf(packet) != protocolTCP || !strings.Contains(string(packet), string(from.AsSlice())) {
			return false
		}
		name := names[binary.BigEndian.Uint16(packet[len(packet)-int(tcpLength(packet)):])]
		arrived[name] = true
		return name == lastSegment.name
	})
	return arrived, err
}

// tcpLength is how long the TCP part of a packet is.
func tcpLength(packet []byte) int {
	if packet[0]>>4 == 6 {
		return int(binary.BigEndian.Uint16(packet[4:]))
	}
	return int(binary.BigEndian.Uint16(packet[2:])) - 20
}
