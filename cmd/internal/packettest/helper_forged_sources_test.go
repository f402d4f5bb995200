package packettest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"farmc/cmd/internal/netlab"
)

// forgeSources sends packets of each kind to service1, from the sources and from other ports of their addresses. Each
// packet has a number, which all packets in answer carry, so that they are counted for each packet alone.
type forgeSources []string

// forgedSources are sources that no packet from outside has.
var forgedSources = []string{
	service1, "192.0.2.2:80 [2001:db8::2]:80", balancerAt8083, "127.0.0.1:80 [::1]:80", "224.0.0.1:80 [ff02::1]:80",
	backend1At8081, backend2At8082,
}

// forgedRepeats is how often each packet is sent. With STRESS=1 (make stress), 10 cases of 7 sources, 2 families and 6
// kinds, and one in mode local, make more than 18,000 packets.
var forgedRepeats = map[bool]int{false: 3, true: 22}[os.Getenv("STRESS") != ""]

// A forgedPacket is a packet with a forged source.
type forgedPacket struct {
	number   uint32
	kind     string
	from, to netip.AddrPort
}

// A forgedAnswers counts the packets that one packet caused, by the kind of the packet in answer.
type forgedAnswers struct {
	direct   int // of the machine that got the forged packet
	rst      int // an RST of the owner of the source, to the SYN-ACK that it did not ask for
	icmp     int // an ICMP error of the owner of the source, to the datagram that it did not ask for
	received int // all packets that came in anywhere
}

// mostHops is how often a packet is received: at the balancer, and at a backend or the owner of the source.
const mostHops = 2

// answerSpy logs the packets that a machine makes, and those that it receives. Neighbour discovery does not count.
const answerSpy = `table inet answers {
	chain output {
		type filter hook output priority 500
		meta l4proto { tcp, udp } log prefix "made" group 7
		icmp type { destination-unreachable, redirect, time-exceeded, parameter-problem } log prefix "made" group 7
		icmpv6 type { destination-unreachable, packet-too-big, time-exceeded } log prefix "made" group 7
	}
	chain prerouting {
		type filter hook prerouting priority -500
		meta l4proto { tcp, udp, icmp, icmpv6 } log prefix "received" group 7
	}
}
`

// openAnswerSpies starts to log on all machines.
func (s *testbed) openAnswerSpies() (logs []nflogReader, err error) {
	for _, h := range s.machines() {
		j, err := openNFLog(h)
		if err != nil {
			return nil, err
		}
		s.t.Cleanup(j.Close)
		logs = append(logs, j)
		if _, err := h.Run(s.ctx, answerSpy, "nft", "-f", "-"); err != nil {
			return nil, err
		}
		if err := h.Sysctl("net.ipv4.tcp_synack_retries", "0"); err != nil {
			return nil, err
		}
	}
	return logs, nil
}

func (f forgeSources) do(s *testbed) error {
	logs, err := s.openAnswerSpies()
	if err != nil {
		return err
	}
	sent := 0
	var errs []error
	for _, to := range strings.Fields(service1) {
		for _, kind := range []string{"datagram", "syn", "ack", "fin", "rst", "syn-ack"} {
			packets := f.packets(kind, netip.MustParseAddrPort(to), sent)
			sent += len(packets)
			errs = append(errs, f.send(s, logs, packets))
		}
	}
	return errors.Join(errs...)
}

// packets are the packets of one kind, in the order in which they are sent.
func (f forgeSources) packets(kind string, to netip.AddrPort, sent int) (out []forgedPacket) {
	for _, source := range strings.Fields(strings.Join(f, " ")) {
		from := netip.MustParseAddrPort(source)
		if from.Addr().Is6() != to.Addr().Is6() {
			continue
		}
		for i := range forgedRepeats {
			n := sent + len(out)
			p := forgedPacket{uint32(n), kind, from, to}
			switch i % 3 { // the port of the service, a port of no service, a port of a client
			case 1:
				p.from = netip.AddrPortFrom(from.Addr(), uint16(10000+n%20000))
			case 2:
				p.from = netip.AddrPortFrom(from.Addr(), uint16(35000+n%20000))
			}
			out = append(out, p)
		}
	}
	return out
}

// send sends packets, and compares the answers to each.
func (f forgeSources) send(s *testbed, logs []nflogReader, packets []forgedPacket) error {
	for _, p := range packets {
		if err := s.sendToBalancer(p.bytes()); err != nil {
			return err
		}
	}
	time.Sleep(noAnswerTimeout)
	got, err := answersByNumber(logs)
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range packets {
		errs = append(errs, got[p.number].check(s, p))
	}
	if err := errors.Join(errs...); err != nil {
		return errors.Join(err, stopLoops(s))
	}
	return nil
}

// check reports more than one packet in answer, and another one of the owner of the source that is not allowed.
func (a forgedAnswers) check(s *testbed, p forgedPacket) error {
	most, made := 1, a.direct+a.rst+a.icmp
	if a.direct == 1 && (a.rst == 1 && p.resets(s) || a.icmp == 1 && p.isOfClient(s)) {
		most = 2
	}
	if made <= most && a.received <= mostHops*(1+made) {
		return nil
	}
	return fmt.Errorf("a %s from %s to %s has in answer %+v, want at most %d", p.kind, p.from, p.to, a, most)
}

// resets reports whether the owner of the source may answer a SYN-ACK with an RST: a backend may be a client.
func (p forgedPacket) resets(s *testbed) bool { return p.kind == "syn" && p.asBackend(s) }

// isOfClient reports whether a datagram comes from a port of a client, so that its owner may answer with an ICMP error.
func (p forgedPacket) isOfClient(s *testbed) bool {
	return p.kind == "datagram" && (p.from.Port() >= 32768 || p.asBackend(s) && p.from.Port() >= 10000)
}

func (p forgedPacket) asBackend(s *testbed) bool {
	return slices.ContainsFunc(s.Backends, func(h *netlab.Host) bool {
		return address(h, p.from.Addr()) == p.from.Addr()
	})
}

// bytes is the packet. A segment has the number in its sequence number and in its acknowledgement.
func (p forgedPacket) bytes() []byte {
	if p.kind == "datagram" {
		return rawDatagram(p.from, p.to, fmt.Sprintf("number%08d", p.number))
	}
	g := map[string]segment{"syn": {"", flagSYN, 0}, "ack": {"", flagACK, 0}, "fin": {"", flagFIN | flagACK, 0},
		"rst": {"", flagRST, 0}, "syn-ack": {"", flagSYN | flagACK, 0}}[p.kind]
	return g.numbered(p.from, p.to, p.sequence(), p.sequence())
}

// sequence leaves room for the numbers of segments in answer, which are one higher.
func (p forgedPacket) sequence() uint32 { return firstSequence + p.number*4 }

const firstSequence = 0x4a000000

// answersByNumber gives the packets in answer since the last call, by the number of the packet that they answer.
func answersByNumber(logs []nflogReader) (map[uint32]forgedAnswers, error) {
	got := map[uint32]forgedAnswers{}
	for _, j := range logs {
		if err := j.each(func(where string, packet []byte) error {
			n, ok := numberOf(packet)
			if !ok {
				return nil
			}
			a := got[n]
			a.add(where, packet)
			got[n] = a
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return got, nil
}

func (a *forgedAnswers) add(where string, packet []byte) {
	protocol, payload := protocolOf(packet), payloadOf(packet)
	switch {
	case where == "received":
		a.received++
	case protocol == protocolICMP || protocol == protocolICMP6:
		a.icmp++
	case protocol == protocolTCP && payload[13]&flagRST != 0:
		a.rst++
	default:
		a.direct++
	}
}

var datagramNumber = regexp.MustCompile(`number(\d{8})`)

// numberOf finds the number of the forged packet in an answer, or in the packet that an ICMP error quotes.
func numberOf(packet []byte) (uint32, bool) {
	if m := datagramNumber.FindSubmatch(packet); m != nil {
		n, err := strconv.ParseUint(string(m[1]), 10, 32)
		return uint32(n), err == nil
	}
	switch protocol := protocolOf(packet); {
	case protocol == protocolTCP:
		return numberOfSegment(payloadOf(packet))
	case (protocol == protocolICMP || protocol == protocolICMP6) && len(payloadOf(packet)) > 8+40:
		if quoted := payloadOf(packet)[8:]; protocolOf(quoted) == protocolTCP {
			return numberOfSegment(payloadOf(quoted))
		}
	}
	return 0, false
}

func numberOfSegment(segment []byte) (uint32, bool) {
	for _, at := range []int{4, 8} { // the sequence number and the acknowledgement
		n := binary.BigEndian.Uint32(segment[at:]) - firstSequence
		if n < 1<<20 {
			return n / 4, true
		}
	}
	return 0, false
}

// payloadOf is a packet without its IP header, which has no options.
func payloadOf(packet []byte) []byte {
	if packet[0]>>4 == 6 {
		return packet[40:]
	}
	return packet[20:]
}

// stopLoops drops all packets for a moment, so that an answer that is answered without end is not counted again.
func stopLoops(s *testbed) error {
	for _, script := range []string{
		"table inet stop { chain c { type filter hook output priority -600; policy drop; }; }\n",
		"delete table inet stop\n",
	} {
		for _, h := range s.machines() {
			if _, err := h.Run(s.ctx, script, "nft", "-f", "-"); err != nil {
				return err
			}
		}
	}
	return nil
}
