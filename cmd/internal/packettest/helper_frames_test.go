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

// taps hear what comes in at the backends, by their names, until the test ends.
func (s *stage) taps() (map[string]*netlab.Tap, error) {
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

func (q question) protocol() byte {
	if q.udp() {
		return protocolUDP
	}
	return protocolTCP
}

// followed has clients send datagrams so large that they travel as fragments, and come back so: they can't unless all
// fragments of one went to one backend.
type followed struct {
	to      string
	clients int
}

func (f followed) do(s *stage) error {
	for range f.clients {
		if err := (carry{by: "udp", to: f.to, size: 4000}).do(s); err != nil {
			return err
		}
	}
	return nil
}

// complain has a router send ICMP errors about replies. Each arrives at the backend that sent the reply: of a dsr farm as
// it is, else with that backend's address and port in it.
type complain struct {
	by, to  string
	backend uint16 // its port, if the farm isn't one
}

func (c complain) do(s *stage) (err error) {
	taps, err := s.taps()
	if err != nil {
		return err
	}
	for _, q := range s.questions("", c.by, c.to) {
		for range 20 {
			if err := q.blame(c.once(s, q, taps)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c complain) once(s *stage, q question, taps map[string]*netlab.Tap) error {
	as := s.speaker(q.from, q.to.Addr())
	answer, err := q.ask(as)
	if err != nil {
		return err
	}
	reply := netlab.Packet(q.to.Addr(), as.Addr(), q.protocol(), header(q.to.Port(), as.Port()))
	for name, kind := range routersErrors {
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
			quoted = binary.BigEndian.AppendUint16(nil, c.backend) // which the reply came from
			quoted = binary.BigEndian.AppendUint16(quoted, as.Port())
		}
		if _, err := tap.Next(patience, func(got []byte) bool { return isICMP(got) && bytes.Contains(got, quoted) }); err != nil {
			return fmt.Errorf("as %s: ICMP %s does not reach %s: %w", as, name, answer.Backend, err)
		}
	}
	return nil
}

func isICMP(packet []byte) bool {
	return protocolOf(packet) == protocolICMP || protocolOf(packet) == protocolICMP6
}

var routersErrors = map[string]netlab.ICMPError{"too big": netlab.TooBig, "unreachable": netlab.Unreachable, "exceeded": netlab.Exceeded}

// header is what a packet of TCP or UDP begins with.
func header(from, to uint16) []byte {
	out := binary.BigEndian.AppendUint16(nil, from)
	out = binary.BigEndian.AppendUint16(out, to)
	return append(out, make([]byte, 16)...)
}

// router is an address of a router before the client's network.
func (s *stage) router(like netip.Addr) netip.Addr {
	if like.Is6() {
		return netip.MustParseAddr("2001:db8:c::ff")
	}
	return netip.MustParseAddr("198.51.100.254")
}

// overheard sends datagrams of a client in frames that are meant for another machine than the balancer, which hears
// everything on its link. They are none of its business.
type overheard struct{ to string }

func (o overheard) do(s *stage) error {
	if err := (on{"balancer", "ip link set eth0 promisc on"}).do(s); err != nil {
		return err
	}
	taps, err := s.taps()
	if err != nil {
		return err
	}
	for _, q := range s.questions("", "udp", o.to) {
		as := s.speaker(q.from, q.to.Addr())
		packet := netlab.Packet(as.Addr(), q.to.Addr(), protocolUDP, header(as.Port(), q.to.Port()))
		frame := append([]byte{2, 0, 0, 0, 0, 0x99, 2, 0, 0, 0, 0, 0x98}, etherType(packet)...)
		if err := s.Client.SendFrame("eth0", append(frame, packet...)); err != nil {
			return err
		}
		for name, tap := range taps {
			fits := func(got []byte) bool {
				return ttlOf(got) < ttlOf(packet) && bytes.HasSuffix(got, packet[len(packet)-20:])
			}
			if got, err := tap.Next(silence, fits); err == nil {
				return q.blame(fmt.Errorf("a packet for another machine is handed on to %s: %x", name, got))
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

// portless sends a packet as a client, to each address, that has to arrive at the backend that answers the client by
// TCP, unchanged but for the TTL.
type portless struct {
	to       string
	protocol byte
	payload  []byte
}

func (p portless) do(s *stage) error {
	taps, err := s.taps()
	if err != nil {
		return err
	}
	for _, q := range s.questions("", "tcp", p.to) {
		for range 20 {
			as := s.speaker(q.from, q.to.Addr())
			answer, err := q.ask(as)
			if err != nil {
				return q.blame(err)
			}
			packet := netlab.Packet(as.Addr(), q.to.Addr(), p.protocol, p.payload)
			if err := s.Client.SendPacket(packet); err != nil {
				return err
			}
			tap := taps[answer.Backend]
			if tap == nil {
				return fmt.Errorf("%s is no backend", answer.Backend)
			}
			got, err := tap.Next(patience, func(got []byte) bool {
				return protocolOf(got) == p.protocol && bytes.Contains(got, as.Addr().AsSlice())
			})
			if err != nil {
				return q.blame(fmt.Errorf("protocol %d as %s does not reach %s: %w", p.protocol, as, answer.Backend, err))
			}
			if !bytes.HasSuffix(got, p.payload) || ttlOf(got) != ttlOf(packet)-1 {
				return q.blame(fmt.Errorf("protocol %d as %s arrives as %x, was %x", p.protocol, as, got, packet))
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

// on runs a program on a machine, words apart by blanks.
type on struct{ machine, line string }

func (o on) do(s *stage) error {
	for line := range strings.Lines(o.line) {
		words := strings.Fields(line)
		if _, err := s.machine(o.machine).Run(s.ctx, "", words[0], words[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// moment is how long to look whether something has come, among several places where it could.
const moment = time.Millisecond

// silence is how long nobody answers.
const silence = 300 * time.Millisecond

// silent asks, and nobody may answer, nor refuse.
type silent struct{ by, to string }

func (c silent) do(s *stage) (err error) {
	for _, q := range s.questions("", c.by, c.to) {
		as := s.speaker(q.from, q.to.Addr())
		answer, asked := q.from.Ask(q.network, as.Addr(), q.to, silence)
		if asked == nil || !netlab.TimedOut(asked) {
			err = errors.Join(err, q.blame(fmt.Errorf("as %s: %v, %w", as, answer, asked)))
		}
	}
	return err
}

func silentPings(to string) step {
	return deed(func(s *stage) error {
		for _, a := range strings.Fields(to) {
			at := netip.MustParseAddr(a)
			answer, err := s.Client.Ping(s.speaker(s.Client, at).Addr(), at, silence)
			if !netlab.TimedOut(err) {
				return fmt.Errorf("ping %s: %v, %w", at, answer, err)
			}
		}
		return nil
	})
}

// bothWays sends packets from one service to another, and back, through the balancer: they have to reach the same backend.
type bothWays struct{ one, other string }

func (w bothWays) do(s *stage) error {
	taps, err := s.taps()
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for i := range uint16(20) {
		a := netip.AddrPortFrom(netip.MustParseAddr(w.one), 8000+i)
		b := netip.AddrPortFrom(netip.MustParseAddr(w.other), 8050+2*i)
		there, err := s.whereTo(taps, a, b)
		if err != nil {
			return err
		}
		back, err := s.whereTo(taps, b, a)
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

// whereTo sends one datagram and gives the name of the backend that it arrives at.
func (s *stage) whereTo(taps map[string]*netlab.Tap, from, to netip.AddrPort) (string, error) {
	if err := s.Client.SendPacket(netlab.Packet(from.Addr(), to.Addr(), protocolUDP, header(from.Port(), to.Port()))); err != nil {
		return "", err
	}
	ports := header(from.Port(), to.Port())[:4]
	for end := deadline(); !end.over(); {
		for name, tap := range taps {
			if _, err := tap.Next(moment, func(got []byte) bool { return bytes.Contains(got, ports) }); err == nil {
				return name, nil
			}
		}
	}
	return "", fmt.Errorf("%s to %s does not arrive", from, to)
}

// lost are datagrams that nobody answers.
type lost struct {
	to   string
	size int
}

func (l lost) do(s *stage) error {
	for _, q := range s.questions("", "udp", l.to) {
		c, err := q.dial(s.speaker(q.from, q.to.Addr()))
		if err == nil {
			_, err = c.Write(make([]byte, l.size))
			err = errors.Join(err, c.SetDeadline(time.Now().Add(silence)))
		}
		if err != nil {
			return q.blame(err)
		}
		defer c.Close()
		if answer, err := netlab.ReadAnswer(c); err == nil || !netlab.TimedOut(err) {
			return q.blame(fmt.Errorf("%v, %w", answer, err))
		}
	}
	return nil
}
