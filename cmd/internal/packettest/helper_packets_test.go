package packettest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"net/netip"
	"strings"
	"time"

	"farmc/cmd/internal/netlab"
)

// A crafted packet is of a protocol that this kernel may have no sockets for. Ports are SCTP's alone.
type crafted struct {
	protocol byte
	from, to netip.AddrPort
	body     string // what follows ports and checksum
}

const protocolGRE, protocolESP, protocolExperiment = 47, 50, 253

var protocolNames = map[byte]string{protocolGRE: "gre", protocolESP: "esp", protocolSCTP: "sctp", protocolExperiment: "protocol-253-over-ip"}

// Bodies of packets. SCTP begins with a verification tag, which is that of the first packet in the answer to it, and a
// zero for the checksum, then comes a chunk INIT or INIT ACK (RFC 9260, 3.3.2); GRE with a protocol (RFC 2784), ESP with
// a security parameters index (RFC 4303).
const (
	sctpInit    = "\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x14\x01\x02\x03\x04\x00\x01\x00\x00\x00\x01\x00\x01\x05\x06\x07\x08"
	sctpInitAck = "\x01\x02\x03\x04\x00\x00\x00\x00\x02\x00\x00\x14\x09\x08\x07\x06\x00\x01\x00\x00\x00\x01\x00\x01\x05\x06\x07\x08"
	greRequest  = "\x00\x00\x08\x00 a question, tunnelled"
	greReply    = "\x00\x00\x08\x00 an answer, tunnelled"
	espRequest  = "\x00\x00\x12\x34\x00\x00\x00\x01 what nobody can read"
	espReply    = "\x00\x00\x43\x21\x00\x00\x00\x01 no more than this"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// bytes is the packet as it is sent.
func (p crafted) bytes() []byte {
	if p.protocol != protocolSCTP {
		return netlab.Packet(p.from.Addr(), p.to.Addr(), p.protocol, []byte(p.body))
	}
	message := append(header(p.from.Port(), p.to.Port())[:4], p.body...)
	binary.LittleEndian.PutUint32(message[8:], crc32.Checksum(message, castagnoli))
	return netlab.Packet(p.from.Addr(), p.to.Addr(), p.protocol, message)
}

// parse takes a packet apart. Of SCTP the checksum has to be right (RFC 9260, appendix A).
func parse(packet []byte) (p crafted, err error) {
	from, to, message := packet[12:16], packet[16:20], packet[20:]
	if packet[0]>>4 == 6 {
		from, to, message = packet[8:24], packet[24:40], packet[40:]
	}
	source, _ := netip.AddrFromSlice(from)
	destination, _ := netip.AddrFromSlice(to)
	p = crafted{protocolOf(packet), netip.AddrPortFrom(source, 0), netip.AddrPortFrom(destination, 0), string(message)}
	if p.protocol != protocolSCTP {
		return p, nil
	}
	p.from = netip.AddrPortFrom(source, binary.BigEndian.Uint16(message))
	p.to = netip.AddrPortFrom(destination, binary.BigEndian.Uint16(message[2:]))
	sum := binary.LittleEndian.Uint32(message[8:])
	clear(message[8:12])
	p.body = string(message[4:])
	if want := crc32.Checksum(message, castagnoli); sum != want {
		err = fmt.Errorf("%v has the checksum %#x, want %#x", p, sum, want)
	}
	return p, err
}

// quiet has the kernels of the client and the backends say nothing of these protocols themselves.
var quiet = deed(func(s *stage) error {
	for _, h := range s.ends() {
		_, err := h.Run(s.ctx, `table inet quiet {
			chain input { type filter hook input priority 0; meta l4proto { 47, 50, 132, 253 } drop; }
		}`, "nft", "-f", "-")
		if err != nil {
			return err
		}
	}
	return nil
})

// ends are all machines but the balancer.
func (s *stage) ends() []*netlab.Host { return append([]*netlab.Host{s.Client}, s.Backends...) }

// A heard packet is one that came in at a machine.
type heard struct {
	at *netlab.Host
	crafted
}

// A hearing is of all that comes in at machines, until it is closed.
type hearing struct {
	taps  []*netlab.Tap
	heard chan func() (heard, error) // each takes a packet apart
	over  chan struct{}
}

func (s *stage) hearing(machines ...*netlab.Host) (*hearing, error) {
	h := &hearing{heard: make(chan func() (heard, error)), over: make(chan struct{})}
	for _, at := range machines {
		var links []net.Interface
		err := at.Do(func() (err error) {
			links, err = net.Interfaces()
			return err
		})
		for _, link := range links {
			if err == nil && link.Flags&net.FlagLoopback == 0 {
				err = h.listen(at, link.Name)
			}
		}
		if err != nil {
			h.close()
			return nil, err
		}
	}
	return h, nil
}

func (h *hearing) listen(at *netlab.Host, link string) error {
	tap, err := at.Tap(link)
	if err != nil {
		return err
	}
	h.taps = append(h.taps, tap)
	go func() {
		for {
			packet, err := tap.Next(time.Hour, func([]byte) bool { return true })
			if err != nil {
				return
			}
			parsed := func() (heard, error) {
				p, err := parse(packet)
				return heard{at, p}, err
			}
			select {
			case h.heard <- parsed:
			case <-h.over:
				return
			}
		}
	}()
	return nil
}

func (h *hearing) close() {
	close(h.over)
	for _, tap := range h.taps {
		tap.Close()
	}
}

// next gives the next packet that fits.
func (h *hearing) next(fits func(crafted) bool) (heard, error) {
	for end := time.After(patience); ; {
		select {
		case parsed := <-h.heard:
			if got, err := parsed(); fits(got.crafted) {
				return got, err
			}
		case <-end:
			return heard{}, errors.New("nothing is heard")
		}
	}
}

// bodied tells packets of a protocol with a body.
func bodied(protocol byte, body string) func(crafted) bool {
	return func(p crafted) bool { return p.protocol == protocol && p.body == body }
}

// A talk is of clients with the services of a mode's farm, a packet there and one back: it reaches a backend, which sees
// whom it should, and what that answers comes from the service. All clients speak from the same port.
type talk struct {
	mode            string
	protocol        byte
	request, answer string // bodies
	to              string
	shares          shares // where there are no ports, of "b1:0"
	clients         int
}

func (a talk) do(s *stage) error {
	hearing, err := s.hearing(s.ends()...)
	if err != nil {
		return err
	}
	defer hearing.close()
	for _, q := range s.questions("", protocolNames[a.protocol], a.to) {
		counts := map[string]int{}
		for range a.clients {
			as := s.speaker(q.from, q.to.Addr()).Addr()
			got, err := a.once(s, q, as, hearing)
			if err != nil {
				return q.blame(fmt.Errorf("as %s: %w", as, err))
			}
			counts[fmt.Sprintf("%s:%d", got.at.Name, got.to.Port())]++
		}
		if err := a.shares.fit(counts); err != nil {
			return q.blame(err)
		}
	}
	return nil
}

const talkPort = 5000

// once has a client send a packet, and gives what arrived of it.
func (a talk) once(s *stage, q question, as netip.Addr, hearing *hearing) (got heard, err error) {
	asks := crafted{a.protocol, netip.AddrPortFrom(as, 0), netip.AddrPortFrom(q.to.Addr(), 0), a.request}
	if a.protocol == protocolSCTP {
		asks.from, asks.to = netip.AddrPortFrom(as, talkPort), q.to
	}
	if err := q.from.SendPacket(asks.bytes()); err != nil {
		return got, err
	}
	if got, err = hearing.next(bodied(a.protocol, a.request)); err == nil {
		err = a.meant(s, asks, got)
	}
	if err != nil {
		return got, err
	}
	answers := crafted{a.protocol, got.to, got.from, a.answer}
	if err := got.at.SendPacket(answers.bytes()); err != nil {
		return got, err
	}
	back, err := hearing.next(bodied(a.protocol, a.answer))
	if want := (heard{q.from, crafted{a.protocol, asks.to, asks.from, a.answer}}); err == nil && back != want {
		err = fmt.Errorf("the answer is heard as %v, want %v", back, want)
	}
	return got, err
}

// meant: what arrived is what the mode makes of the packet that was sent.
func (a talk) meant(s *stage, sent crafted, got heard) error {
	if got.at == s.Client {
		return errors.New("the client hears itself")
	}
	to, from := address(got.at, sent.to.Addr()), sent.from.Addr()
	switch a.mode {
	case "dsr":
		to = sent.to.Addr()
	case "snat":
		from = address(s.Balancer, sent.to.Addr())
	}
	if got.to.Addr() != to || got.from.Addr() != from || a.mode != "snat" && got.from.Port() != sent.from.Port() {
		return fmt.Errorf("%s hears %v, sent was %v", got.at.Name, got.crafted, sent)
	}
	return nil
}

// turnedAway: clients are told by an ICMP error that the service's port is unreachable.
type turnedAway struct {
	protocol byte
	request  string
	to       string
}

func (a turnedAway) do(s *stage) error {
	hearing, err := s.hearing(s.Client)
	if err != nil {
		return err
	}
	defer hearing.close()
	for _, q := range s.questions("", protocolNames[a.protocol], a.to) {
		asks := crafted{a.protocol, s.speaker(q.from, q.to.Addr()), q.to, a.request}
		if err := q.from.SendPacket(asks.bytes()); err != nil {
			return err
		}
		if _, err := hearing.next(asks.refused()); err != nil {
			return q.blame(fmt.Errorf("is not refused: %w", err))
		}
	}
	return nil
}

// refused tells the ICMP error that says of the packet that its port is unreachable: it quotes it.
func (p crafted) refused() func(crafted) bool {
	packet, header, protocol, kind := p.bytes(), 20, byte(protocolICMP), netlab.Unreachable.IP4
	if p.to.Addr().Is6() {
		header, protocol, kind = 40, protocolICMP6, netlab.Unreachable.IP6
	}
	return func(got crafted) bool {
		return got.protocol == protocol && strings.HasPrefix(got.body, string(kind[:])) && strings.Contains(got.body, string(packet[header:header+8]))
	}
}

// odd is UDP to a port that nobody thought of.
type odd uint16

func (port odd) do(s *stage) error {
	if err := s.Serve(uint16(port)); err != nil {
		return err
	}
	for _, q := range s.questions("", "udp", both) {
		q.to = netip.AddrPortFrom(q.to.Addr(), uint16(port))
		answer, err := q.ask(s.speaker(q.from, q.to.Addr()))
		if err != nil || answer.Local.Port() != uint16(port) || answer.Backend == "balancer" {
			return q.blame(fmt.Errorf("%v, %w", answer, err))
		}
	}
	return nil
}

// protocol253 sends a packet of a protocol for experiments (RFC 3692), which has no ports. It arrives at one of the
// first two backends, which sees whom it should.
type protocol253 struct{ sees string }

func (p protocol253) do(s *stage) error {
	arrived := make(chan string, 2)
	for _, b := range s.Backends[:2] {
		var c net.PacketConn
		if err := b.Do(func() (err error) {
			c, err = net.ListenPacket("ip4:253", "0.0.0.0")
			return err
		}); err != nil {
			return err
		}
		defer c.Close()
		go func() {
			if _, from, err := c.ReadFrom(make([]byte, 1<<10)); err == nil {
				arrived <- from.String()
			}
		}()
	}
	if err := s.Client.Do(sendProtocol253); err != nil {
		return err
	}
	select {
	case from := <-arrived:
		if from != p.sees {
			return fmt.Errorf("protocol 253 comes from %s, want %s", from, p.sees)
		}
		return nil
	case <-time.After(patience):
		return errors.New("protocol 253 does not arrive")
	}
}

func sendProtocol253() error {
	c, err := net.Dial("ip4:253", "192.0.2.1")
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte("no ports here"))
	return err
}

// associations are opened by clients with services, and accepted.
func associations(mode, to string, of shares) step {
	return talk{mode, protocolSCTP, sctpInit, sctpInitAck, to, of, 30}
}
