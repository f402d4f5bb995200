package packettest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"farmc/cmd/internal/netlab"
)

// backendTaps capture the packets that arrive at the backends, by name, until the test ends.
func (s *testbed) backendTaps() (map[string]*netlab.Tap, error) {
	taps := map[string]*netlab.Tap{}
	for _, b := range s.Backends {
		tap, err := b.Tap("eth0")
		if err != nil {
			return nil, err
		}
		s.t.Cleanup(tap.Close)
		taps[b.Name] = tap
	}
	return taps, nil
}

const protocolICMP, protocolTCP, protocolUDP, protocolICMP6, protocolSCTP = 1, 6, 17, 58, 132

func (q target) protocol() byte {
	if q.udp() {
		return protocolUDP
	}
	return protocolTCP
}

// fragmentsFollow: clients send datagrams that travel as fragments, and get them back. They only come back if all
// fragments of a datagram reach the same backend.
type fragmentsFollow struct {
	to      string
	clients int
}

func (f fragmentsFollow) do(s *testbed) error {
	for range f.clients {
		if err := (transfer{by: "udp", to: f.to, size: 4000}).do(s); err != nil {
			return err
		}
	}
	return nil
}

// icmpErrors: a router sends ICMP errors about replies. Each arrives at the backend that sent the reply. For a dsr farm
// the quoted packet is unchanged, else it has the backend's address and port.
type icmpErrors struct {
	by, to  string
	backend uint16 // the backend's port; zero for a dsr farm
}

func (c icmpErrors) do(s *testbed) (err error) {
	taps, err := s.backendTaps()
	if err != nil {
		return err
	}
	for _, q := range s.targets("", c.by, c.to) {
		for range 20 {
			if err := q.wrap(c.once(s, q, taps)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c icmpErrors) once(s *testbed, q target, taps map[string]*netlab.Tap) error {
	as := s.newClient(q.from, q.to.Addr())
	answer, err := q.request(as)
	if err != nil {
		return err
	}
	reply := netlab.Packet(q.to.Addr(), as.Addr(), q.protocol(), header(q.to.Port(), as.Port()))
	for name, kind := range icmpErrorKinds {
		packet := kind.About(reply, s.router(as.Addr()), 1300)
		if err := s.Client.SendPacket(packet); err != nil {
			return err
		}
		tap := taps[answer.Backend]
		if tap == nil {
			return fmt.Errorf("%s is no backend", answer.Backend)
		}
		quoted := packet[len(packet)-len(reply)-8:]
		if c.backend != 0 {
			quoted = binary.BigEndian.AppendUint16(nil, c.backend) // the reply's source port
			quoted = binary.BigEndian.AppendUint16(quoted, as.Port())
		}
		if _, err := tap.Next(answerTimeout,
			func(got []byte) bool { return isICMP(got) && bytes.Contains(got, quoted) }); err != nil {
			return fmt.Errorf("as %s: ICMP %s does not reach %s: %w", as, name, answer.Backend, err)
		}
	}
	return nil
}

func isICMP(packet []byte) bool {
	return protocolOf(packet) == protocolICMP || protocolOf(packet) == protocolICMP6
}

var icmpErrorKinds = map[string]netlab.ICMPError{"too big": netlab.TooBig, "unreachable": netlab.Unreachable,
	"exceeded": netlab.Exceeded}

// header is the beginning of a TCP or UDP packet.
func header(from, to uint16) []byte {
	out := binary.BigEndian.AppendUint16(nil, from)
	out = binary.BigEndian.AppendUint16(out, to)
	return append(out, make([]byte, 16)...)
}

// router is the address of a router in the client's network.
func (s *testbed) router(like netip.Addr) netip.Addr {
	if like.Is6() {
		return netip.MustParseAddr("2001:db8:c::ff")
	}
	return netip.MustParseAddr("198.51.100.254")
}

// framesForOthers sends datagrams in frames with the MAC address of another machine. The balancer's link is
// promiscuous, and the balancer must not forward them.
type framesForOthers struct{ to string }

func (o framesForOthers) do(s *testbed) error {
	if err := (runOn{"balancer", "ip link set eth0 promisc on"}).do(s); err != nil {
		return err
	}
	taps, err := s.backendTaps()
	if err != nil {
		return err
	}
	for _, q := range s.targets("", "udp", o.to) {
		as := s.newClient(q.from, q.to.Addr())
		packet := netlab.Packet(as.Addr(), q.to.Addr(), protocolUDP, header(as.Port(), q.to.Port()))
		frame := append([]byte{2, 0, 0, 0, 0, 0x99, 2, 0, 0, 0, 0, 0x98}, etherType(packet)...)
		if err := s.Client.SendFrame("eth0", append(frame, packet...)); err != nil {
			return err
		}
		for name, tap := range taps {
			fits := func(got []byte) bool {
				return ttlOf(got) < ttlOf(packet) && bytes.HasSuffix(got, packet[len(packet)-20:])
			}
			if got, err := tap.Next(noAnswerTimeout, fits); err == nil {
				return q.wrap(fmt.Errorf("a packet for another machine is forwarded to %s: %x", name, got))
			}
		}
	}
	return nil
}

func etherType(packet []byte) []byte {
	if packet[0]>>4 == 6 {
		return []byte{0x86, 0xdd}
	}
	return []byte{8, 0}
}

// portlessPackets sends a packet from a client to each address. It has to arrive at the backend that answers the client
// over TCP, unchanged but for the TTL.
type portlessPackets struct {
	to       string
	protocol byte
	payload  []byte
}

func (p portlessPackets) do(s *testbed) error {
	taps, err := s.backendTaps()
	if err != nil {
		return err
	}
	for _, q := range s.targets("", "tcp", p.to) {
		for range 20 {
			as := s.newClient(q.from, q.to.Addr())
			answer, err := q.request(as)
			if err != nil {
				return q.wrap(err)
			}
			packet := netlab.Packet(as.Addr(), q.to.Addr(), p.protocol, p.payload)
			if err := s.Client.SendPacket(packet); err != nil {
				return err
			}
			tap := taps[answer.Backend]
			if tap == nil {
				return fmt.Errorf("%s is no backend", answer.Backend)
			}
			got, err := tap.Next(answerTimeout, func(got []byte) bool {
				return protocolOf(got) == p.protocol && bytes.Contains(got, as.Addr().AsSlice())
			})
			if err != nil {
				return q.wrap(fmt.Errorf("protocol %d as %s does not reach %s: %w", p.protocol, as, answer.Backend,
					err))
			}
			if !bytes.HasSuffix(got, p.payload) || ttlOf(got) != ttlOf(packet)-1 {
				return q.wrap(fmt.Errorf("protocol %d as %s arrives as %x, was %x", p.protocol, as, got, packet))
			}
		}
	}
	return nil
}

func protocolOf(packet []byte) byte {
	if packet[0]>>4 == 6 {
		return packet[6]
	}
	return packet[9]
}

func ttlOf(packet []byte) byte {
	if packet[0]>>4 == 6 {
		return packet[7]
	}
	return packet[8]
}

// runOn runs programs on a machine, one a line.
type runOn struct{ machine, line string }

func (o runOn) do(s *testbed) error {
	for line := range strings.Lines(o.line) {
		words := strings.Fields(line)
		if _, err := s.machine(o.machine).Run(s.ctx, "", words[0], words[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// pollTime is the time to look for a packet at one of several taps.
const pollTime = time.Millisecond

// noAnswerTimeout is the time to wait for an answer that must not come.
const noAnswerTimeout = 300 * time.Millisecond

// noAnswer: services neither answer nor refuse.
type noAnswer struct{ by, to string }

func (c noAnswer) do(s *testbed) (err error) {
	for _, q := range s.targets("", c.by, c.to) {
		as := s.newClient(q.from, q.to.Addr())
		answer, asked := q.from.Ask(q.network, as.Addr(), q.to, noAnswerTimeout)
		if asked == nil || !netlab.TimedOut(asked) {
			err = errors.Join(err, q.wrap(fmt.Errorf("as %s: %v, %w", as, answer, asked)))
		}
	}
	return err
}

func noPingAnswer(to string) step {
	return stepFunc(func(s *testbed) error {
		for _, a := range strings.Fields(to) {
			at := netip.MustParseAddr(a)
			answer, err := s.Client.Ping(s.newClient(s.Client, at).Addr(), at, noAnswerTimeout)
			if !netlab.TimedOut(err) {
				return fmt.Errorf("ping %s: %v, %w", at, answer, err)
			}
		}
		return nil
	})
}

// sameBackendBothWays sends packets from one service to another, and back, through the balancer. They have to reach the
// same backend.
type sameBackendBothWays struct{ one, other string }

func (w sameBackendBothWays) do(s *testbed) error {
	taps, err := s.backendTaps()
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for i := range uint16(20) {
		a := netip.AddrPortFrom(netip.MustParseAddr(w.one), 8000+i)
		b := netip.AddrPortFrom(netip.MustParseAddr(w.other), 8050+2*i)
		there, err := s.forwardedTo(taps, a, b)
		if err != nil {
			return err
		}
		back, err := s.forwardedTo(taps, b, a)
		if err != nil {
			return err
		}
		if there != back {
			return fmt.Errorf("%s to %s goes to %s, the other way to %s", a, b, there, back)
		}
		seen[there] = true
	}
	if len(seen) != 2 {
		return fmt.Errorf("all go to %v", seen)
	}
	return nil
}

// forwardedTo sends one datagram and returns the name of the backend that it arrives at.
func (s *testbed) forwardedTo(taps map[string]*netlab.Tap, from, to netip.AddrPort) (string, error) {
	if err := s.Client.SendPacket(netlab.Packet(from.Addr(), to.Addr(), protocolUDP,
		header(from.Port(), to.Port()))); err != nil {
		return "", err
	}
	ports := header(from.Port(), to.Port())[:4]
	for end := deadline(); !end.over(); {
		for name, tap := range taps {
			if _, err := tap.Next(pollTime, func(got []byte) bool { return bytes.Contains(got, ports) }); err == nil {
				return name, nil
			}
		}
	}
	return "", fmt.Errorf("%s to %s does not arrive", from, to)
}

// lostDatagrams get no answer.
type lostDatagrams struct {
	to   string
	size int
}

func (l lostDatagrams) do(s *testbed) error {
	for _, q := range s.targets("", "udp", l.to) {
		c, err := q.dial(s.newClient(q.from, q.to.Addr()))
		if err == nil {
			_, err = c.Write(make([]byte, l.size))
			err = errors.Join(err, c.SetDeadline(time.Now().Add(noAnswerTimeout)))
		}
		if err != nil {
			return q.wrap(err)
		}
		defer c.Close()
		if answer, err := netlab.ReadAnswer(c); err == nil || !netlab.TimedOut(err) {
			return q.wrap(fmt.Errorf("%v, %w", answer, err))
		}
	}
	return nil
}
