package packettest

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"farmc/cmd/internal/netlab"
)

// forgeSources sends packets of each kind with each of the sources to service1, and counts the packets that all
// machines make in answer. A SYN may have another packet in answer if its source is a backend, or if the mode tracks
// connections: the RST to the SYN-ACK.
type forgeSources struct {
	sources []string
	tracked bool
}

// forgedSources are sources that no packet from outside has.
var forgedSources = []string{
	service1, "192.0.2.2:80 [2001:db8::2]:80", balancerAt8083, "127.0.0.1:80 [::1]:80", "224.0.0.1:80 [ff02::1]:80",
	backend1At8081, backend2At8082,
}

// forgedRepeats is how often each packet is sent. With STRESS=1 (make stress), 8 cases of 7 sources, 2 families and 6
// kinds, and one in mode local, make more than 15,000 packets.
var forgedRepeats = map[bool]int{false: 3, true: 22}[os.Getenv("STRESS") != ""]

// answerSpy counts the packets that a machine makes, and those that it receives. Neighbour discovery does not count.
const answerSpy = `table inet answers
delete table inet answers
table inet answers {
	counter made { }
	counter received { }
	chain count-made {
		meta l4proto { tcp, udp } counter name made
		icmp type { destination-unreachable, redirect, time-exceeded, parameter-problem } counter name made
		icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } counter name made
	}
	chain output { type filter hook output priority 500; jump count-made; }
	chain prerouting { type filter hook prerouting priority -500; meta l4proto { tcp, udp } counter name received; }
}
`

// mostHops is how often a forged packet and its answer are received together: at the balancer and at a backend, and on
// the way back at the balancer and at the owner of the source.
const mostHops = 4

func (f forgeSources) do(s *testbed) error {
	for _, h := range s.machines() {
		if _, err := h.Run(s.ctx, answerSpy, "nft", "-f", "-"); err != nil {
			return err
		}
		if err := h.Sysctl("net.ipv4.tcp_synack_retries", "0"); err != nil {
			return err
		}
	}
	var errs []error
	for _, to := range strings.Fields(service1) {
		to := netip.MustParseAddrPort(to)
		errs = append(errs, f.all(s, f.of(to.Addr()), to))
	}
	return errors.Join(errs...)
}

// of gives the sources of the family of an address.
func (f forgeSources) of(to netip.Addr) (out []netip.AddrPort) {
	for _, source := range strings.Fields(strings.Join(f.sources, " ")) {
		if from := netip.MustParseAddrPort(source); from.Addr().Is6() == to.Is6() {
			out = append(out, from)
		}
	}
	return out
}

// all sends packets of each kind with the sources.
func (f forgeSources) all(s *testbed, sources []netip.AddrPort, to netip.AddrPort) error {
	errs := []error{f.one(s, "a datagram", sources, to, func(from netip.AddrPort) []byte {
		return rawDatagram(from, to, "who?")
	})}
	for _, g := range []segment{{"syn", flagSYN, 0}, {"ack", flagACK, 0}, {"fin", flagFIN | flagACK, 0},
		{"rst", flagRST, 0}, {"syn-ack", flagSYN | flagACK, 0}} {
		errs = append(errs, f.one(s, "a segment "+g.name, sources, to, func(from netip.AddrPort) []byte {
			return g.bytes(from, to)
		}))
	}
	return errors.Join(errs...)
}

// one sends a packet of one kind with each source. The answers are counted together: a wait for each source alone
// takes minutes.
func (f forgeSources) one(s *testbed, kind string, sources []netip.AddrPort, to netip.AddrPort,
	packet func(from netip.AddrPort) []byte) error {
	if err := resetAnswers(s); err != nil {
		return err
	}
	most := 0
	for _, from := range sources {
		most += f.most(s, kind, from.Addr())
		for range forgedRepeats {
			if err := s.sendToBalancer(packet(from)); err != nil {
				return err
			}
		}
	}
	time.Sleep(noAnswerTimeout)
	made, received, by := 0, 0, ""
	for _, h := range s.machines() {
		m, r, err := answersOf(s, h)
		if err != nil {
			return err
		}
		made, received, by = made+m, received+r, by+fmt.Sprintf(" %s %d/%d", h.Name, m, r)
	}
	if err := stopLoops(s); err != nil {
		return err
	}
	if made > most || received > mostHops*most {
		return fmt.Errorf("%d times %s from each of %v to %s: %d packets in answer, want at most %d, %d received "+
			"(made/received:%s)", forgedRepeats, kind, sources, to, made, most, received, by)
	}
	return nil
}

// most is how many answers packets of a kind may have.
func (f forgeSources) most(s *testbed, kind string, from netip.Addr) int {
	backend := slices.ContainsFunc(s.Backends, func(h *netlab.Host) bool { return address(h, from) == from })
	if kind == "a segment syn" && (f.tracked || backend) {
		return 2 * forgedRepeats
	}
	return forgedRepeats
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

func resetAnswers(s *testbed) error {
	for _, h := range s.machines() {
		if _, err := h.Run(s.ctx, "", "nft", "reset counters table inet answers"); err != nil {
			return err
		}
	}
	return nil
}

// answersOf gives how many packets a machine made and received.
func answersOf(s *testbed, h *netlab.Host) (made, received int, err error) {
	text, err := h.Run(s.ctx, "", "nft", "list counters table inet answers")
	if err != nil {
		return 0, 0, err
	}
	for name, n := range map[string]*int{"made": &made, "received": &received} {
		counter := text[strings.Index(text, "counter "+name):]
		if _, err := fmt.Sscanf(between(counter, "packets ", "}"), "%d", n); err != nil {
			return 0, 0, err
		}
	}
	return made, received, nil
}
