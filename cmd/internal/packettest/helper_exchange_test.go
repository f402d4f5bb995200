package packettest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"farmc/cmd/internal/netlab"
)

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
