package packettest

import (
	"bytes"
	"encoding/binary"
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

// header is the beginning of a TCP or UDP packet.
func header(from, to uint16) []byte {
	out := binary.BigEndian.AppendUint16(nil, from)
	out = binary.BigEndian.AppendUint16(out, to)
	return append(out, make([]byte, 16)...)
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
