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

// A rawPacket has a protocol for which this kernel may have no sockets. Only SCTP has ports.
type rawPacket struct {
	protocol byte
	from, to netip.AddrPort
	body     string // after ports and checksum
}

const protocolGRE, protocolESP, protocolExperiment = 47, 50, 253

var protocolNames = map[byte]string{protocolGRE: "gre", protocolESP: "esp", protocolSCTP: "sctp",
	protocolExperiment: "protocol-253-over-ip"}

// Bodies of packets. SCTP begins with a verification tag, which the answer takes from the first packet, and a zero for
// the checksum. A chunk INIT or INIT ACK follows (RFC 9260, 3.3.2). GRE begins with a protocol (RFC 2784), ESP with a
// security parameters index (RFC 4303).
const (
	sctpInit = "\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x14\x01\x02\x03\x04\x00\x01\x00\x00\x00\x01\x00\x01" +
		"\x05\x06\x07\x08"
	sctpInitAck = "\x01\x02\x03\x04\x00\x00\x00\x00\x02\x00\x00\x14\x09\x08\x07\x06\x00\x01\x00\x00\x00\x01\x00\x01" +
		"\x05\x06\x07\x08"
	greRequest = "\x00\x00\x08\x00 a question, tunnelled"
	greReply   = "\x00\x00\x08\x00 an answer, tunnelled"
	espRequest = "\x00\x00\x12\x34\x00\x00\x00\x01 encrypted request"
	espReply   = "\x00\x00\x43\x21\x00\x00\x00\x01 encrypted answer"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// bytes is the packet in wire format.
func (p rawPacket) bytes() []byte {
	if p.protocol != protocolSCTP {
		return netlab.Packet(p.from.Addr(), p.to.Addr(), p.protocol, []byte(p.body))
	}
	message := append(header(p.from.Port(), p.to.Port())[:4], p.body...)
	binary.LittleEndian.PutUint32(message[8:], crc32.Checksum(message, castagnoli))
	return netlab.Packet(p.from.Addr(), p.to.Addr(), p.protocol, message)
}

// parse reads a packet. The checksum of SCTP has to be right (RFC 9260, appendix A).
func parse(packet []byte) (p rawPacket, err error) {
	from, to, message := packet[12:16], packet[16:20], packet[20:]
	if packet[0]>>4 == 6 {
		from, to, message = packet[8:24], packet[24:40], packet[40:]
	}
	source, _ := netip.AddrFromSlice(from)
	destination, _ := netip.AddrFromSlice(to)
	p = rawPacket{protocolOf(packet), netip.AddrPortFrom(source, 0), netip.AddrPortFrom(destination, 0),
		string(message)}
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

// muteKernels keeps the kernels of the client and the backends from answering these protocols.
var muteKernels = stepFunc(func(s *testbed) error {
	for _, h := range s.endHosts() {
		_, err := h.Run(s.ctx, `table inet quiet {
			chain input { type filter hook input priority 0; meta l4proto { 47, 50, 132, 253 } drop; }
		}`, "nft", "-f", "-")
		if err != nil {
			return err
		}
	}
	return nil
})

// endHosts are all machines but the balancer.
func (s *testbed) endHosts() []*netlab.Host { return append([]*netlab.Host{s.Client}, s.Backends...) }

// A received packet has arrived at a machine.
type received struct {
	at *netlab.Host
	rawPacket
}

// A capture reads all packets that arrive at machines, until it is closed.
type capture struct {
	taps    []*netlab.Tap
	packets chan func() (received, error) // each parses a packet
	done    chan struct{}
}

func (s *testbed) capture(machines ...*netlab.Host) (*capture, error) {
	h := &capture{packets: make(chan func() (received, error)), done: make(chan struct{})}
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

func (h *capture) listen(at *netlab.Host, link string) error {
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
			parsed := func() (received, error) {
				p, err := parse(packet)
				return received{at, p}, err
			}
			select {
			case h.packets <- parsed:
			case <-h.done:
				return
			}
		}
	}()
	return nil
}

func (h *capture) close() {
	close(h.done)
	for _, tap := range h.taps {
		tap.Close()
	}
}

// next returns the next packet that fits.
func (h *capture) next(fits func(rawPacket) bool) (received, error) {
	for end := time.After(answerTimeout); ; {
		select {
		case parsed := <-h.packets:
			if got, err := parsed(); fits(got.rawPacket) {
				return got, err
			}
		case <-end:
			return received{}, errors.New("no packet arrives")
		}
	}
}

// hasBody finds packets of a protocol with a body.
func hasBody(protocol byte, body string) func(rawPacket) bool {
	return func(p rawPacket) bool { return p.protocol == protocol && p.body == body }
}

// An exchange is a packet from each client to the services of a mode's farm, and an answer. The packet reaches a
// backend, which sees the expected source, and the answer comes from the service. All clients use the same source port.
type exchange struct {
	mode            string
	protocol        byte
	request, answer string // bodies
	to              string
	shares          shares // with the port 0 where there are no ports, as in "b1:0"
	clients         int
}

func (a exchange) do(s *testbed) error {
	hearing, err := s.capture(s.endHosts()...)
	if err != nil {
		return err
	}
	defer hearing.close()
	for _, q := range s.targets("", protocolNames[a.protocol], a.to) {
		counts := map[string]int{}
		for range a.clients {
			as := s.newClient(q.from, q.to.Addr()).Addr()
			got, err := a.once(s, q, as, hearing)
			if err != nil {
				return q.wrap(fmt.Errorf("as %s: %w", as, err))
			}
			counts[fmt.Sprintf("%s:%d", got.at.Name, got.to.Port())]++
		}
		if err := a.shares.fit(counts); err != nil {
			return q.wrap(err)
		}
	}
	return nil
}

const exchangePort = 5000

// once sends a packet from a client, and returns the packet that arrived at a backend.
func (a exchange) once(s *testbed, q target, as netip.Addr, hearing *capture) (got received, err error) {
	asks := rawPacket{a.protocol, netip.AddrPortFrom(as, 0), netip.AddrPortFrom(q.to.Addr(), 0), a.request}
	if a.protocol == protocolSCTP {
		asks.from, asks.to = netip.AddrPortFrom(as, exchangePort), q.to
	}
	if err := q.from.SendPacket(asks.bytes()); err != nil {
		return got, err
	}
	if got, err = hearing.next(hasBody(a.protocol, a.request)); err == nil {
		err = a.checkForwarded(s, asks, got)
	}
	if err != nil {
		return got, err
	}
	answers := rawPacket{a.protocol, got.to, got.from, a.answer}
	if err := got.at.SendPacket(answers.bytes()); err != nil {
		return got, err
	}
	back, err := hearing.next(hasBody(a.protocol, a.answer))
	if want := (received{q.from, rawPacket{a.protocol, asks.to, asks.from, a.answer}}); err == nil && back != want {
		err = fmt.Errorf("the answer arrives as %v, want %v", back, want)
	}
	return got, err
}

// checkForwarded checks that the packet has the addresses that the mode gives it.
func (a exchange) checkForwarded(s *testbed, sent rawPacket, got received) error {
	if got.at == s.Client {
		return errors.New("the client receives its own packet")
	}
	to, from := address(got.at, sent.to.Addr()), sent.from.Addr()
	switch a.mode {
	case "dsr":
		to = sent.to.Addr()
	case "snat":
		from = address(s.Balancer, sent.to.Addr())
	}
	if got.to.Addr() != to || got.from.Addr() != from || a.mode != "snat" && got.from.Port() != sent.from.Port() {
		return fmt.Errorf("%s receives %v, sent was %v", got.at.Name, got.rawPacket, sent)
	}
	return nil
}

// portUnreachable: clients get an ICMP error for the service's port.
type portUnreachable struct {
	protocol byte
	request  string
	to       string
}

func (a portUnreachable) do(s *testbed) error {
	hearing, err := s.capture(s.Client)
	if err != nil {
		return err
	}
	defer hearing.close()
	for _, q := range s.targets("", protocolNames[a.protocol], a.to) {
		asks := rawPacket{a.protocol, s.newClient(q.from, q.to.Addr()), q.to, a.request}
		if err := q.from.SendPacket(asks.bytes()); err != nil {
			return err
		}
		if _, err := hearing.next(asks.refused()); err != nil {
			return q.wrap(fmt.Errorf("is not refused: %w", err))
		}
	}
	return nil
}

// refused finds the ICMP error that quotes the packet and reports its port as unreachable.
func (p rawPacket) refused() func(rawPacket) bool {
	packet, header, protocol, kind := p.bytes(), 20, byte(protocolICMP), netlab.Unreachable.IP4
	if p.to.Addr().Is6() {
		header, protocol, kind = 40, protocolICMP6, netlab.Unreachable.IP6
	}
	return func(got rawPacket) bool {
		return got.protocol == protocol && strings.HasPrefix(got.body, string(kind[:])) &&
			strings.Contains(got.body, string(packet[header:header+8]))
	}
}

// oddPort sends UDP to a port that no other case uses.
type oddPort uint16

func (port oddPort) do(s *testbed) error {
	if err := s.Serve(uint16(port)); err != nil {
		return err
	}
	for _, q := range s.targets("", "udp", service1) {
		q.to = netip.AddrPortFrom(q.to.Addr(), uint16(port))
		answer, err := q.request(s.newClient(q.from, q.to.Addr()))
		if err != nil || answer.Local.Port() != uint16(port) || answer.Backend == "balancer" {
			return q.wrap(fmt.Errorf("%v, %w", answer, err))
		}
	}
	return nil
}

// protocol253 sends a packet of a protocol for experiments (RFC 3692), which has no ports. It arrives at one of the
// first two backends with the expected source.
type protocol253 struct{ sees string }

func (p protocol253) do(s *testbed) error {
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
	case <-time.After(answerTimeout):
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

// associations: clients open associations with services, and backends accept them.
func associations(mode, to string, of shares) step {
	return exchange{mode, protocolSCTP, sctpInit, sctpInitAck, to, of, 30}
}
