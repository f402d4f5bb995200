package packettest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"farmc/cmd/internal/netlab"
)

// noChain: the table of farmc has no name that contains the word.
type noChain string

func (word noChain) do(s *testbed) error {
	text, err := s.Balancer.Run(s.ctx, "", "nft", "list table inet farmc")
	if err == nil && strings.Contains(text, string(word)) {
		err = fmt.Errorf("the table inet farmc contains %q:\n%s", word, text)
	}
	return err
}

// allBroken: no held connection carries data.
func allBroken(s *testbed) error {
	for _, c := range s.held {
		if err := c.echo([]byte(time.Now().String())); err == nil {
			return c.wrap(errors.New("the connection still carries data"))
		}
	}
	return nil
}

// sendOutOfWindow sends a segment far beyond the window from one end of each held connection. With arrives, the segment
// has to arrive at the other end. Without it, the segment may arrive or not: the next step tests the connection.
type sendOutOfWindow struct {
	by      string
	arrives bool
}

func (b sendOutOfWindow) do(s *testbed) error {
	link := map[bool]string{true: "eth0", false: "eth1"}[b.by == "client"]
	tap, err := s.Balancer.Tap(link)
	if err != nil {
		return err
	}
	defer tap.Close()
	if err := (echo{}).do(s); err != nil {
		return err
	}
	last, err := lastSegments(tap)
	if err != nil {
		return err
	}
	return b.send(s, last)
}

// lastSegments returns the last segment of each connection, by addresses and ports.
func lastSegments(tap *netlab.Tap) (map[string][]byte, error) {
	last := map[string][]byte{}
	for {
		packet, err := tap.Next(noAnswerTimeout, func(packet []byte) bool { return protocolOf(packet) == protocolTCP })
		switch {
		case netlab.TimedOut(err) && len(last) == 0:
			return nil, errors.New("the connections send no segment")
		case netlab.TimedOut(err):
			return last, nil
		case err != nil:
			return nil, err
		}
		from, to := endpoints(packet)
		last[from.String()+to.String()] = slices.Clone(packet)
	}
}

func (b sendOutOfWindow) send(s *testbed, last map[string][]byte) error {
	taps, err := s.backendTaps()
	if err != nil {
		return err
	}
	if taps["client"], err = s.Client.Tap("eth0"); err != nil {
		return err
	}
	defer taps["client"].Close()
	sent := 0
	for _, packet := range last {
		from, to := endpoints(packet)
		if b.by != "client" && from.Addr() != address(s.machine(b.by), from.Addr()) {
			continue
		}
		sent++
		if err := s.machine(b.by).SendPacket(outOfWindow(packet)); err != nil {
			return err
		}
		if err := b.checkArrival(taps, s, to); err != nil {
			return err
		}
	}
	if sent == 0 {
		return fmt.Errorf("%s has no connection", b.by)
	}
	time.Sleep(noAnswerTimeout)
	return nil
}

// invalidSegmentsStay: no segment that a step sends out of the window arrives at a backend.
type invalidSegmentsStay struct{ step }

func (o invalidSegmentsStay) do(s *testbed) error {
	taps, err := s.backendTaps()
	if err != nil {
		return err
	}
	if err := o.step.do(s); err != nil {
		return err
	}
	for name, tap := range taps {
		packet, err := tap.Next(noAnswerTimeout, isOutOfWindow)
		if err == nil {
			from, to := endpoints(packet)
			return fmt.Errorf("a segment out of the window, from %s to %s, arrives at %s", from, to, name)
		}
		if !netlab.TimedOut(err) {
			return err
		}
	}
	return nil
}

// checkArrival waits for the segment at the other end, if it has to arrive.
func (b sendOutOfWindow) checkArrival(taps map[string]*netlab.Tap, s *testbed, to netip.AddrPort) error {
	if !b.arrives {
		return nil
	}
	at := b.receiver(s, to.Addr())
	if _, err := taps[at].Next(answerTimeout, isOutOfWindow); err != nil {
		return fmt.Errorf("the segment of %s to %s does not arrive at %s: %w", b.by, to, at, err)
	}
	return nil
}

// receiver is the name of the machine at the other end. Requests to services go to b1.
func (b sendOutOfWindow) receiver(s *testbed, to netip.Addr) string {
	if b.by != "client" {
		return "client"
	}
	for _, m := range s.Backends {
		if address(m, to) == to {
			return m.Name
		}
	}
	return "b1"
}

// tcpPart is the packet without its IP header.
func tcpPart(packet []byte) []byte { return packet[len(packet)-tcpLength(packet):] }

// endpoints are the source and the destination of a TCP packet.
func endpoints(packet []byte) (from, to netip.AddrPort) {
	source, destination := packet[12:16], packet[16:20]
	if packet[0]>>4 == 6 {
		source, destination = packet[8:24], packet[24:40]
	}
	a, _ := netip.AddrFromSlice(source)
	b, _ := netip.AddrFromSlice(destination)
	message := tcpPart(packet)
	sport, dport := binary.BigEndian.Uint16(message), binary.BigEndian.Uint16(message[2:])
	return netip.AddrPortFrom(a, sport), netip.AddrPortFrom(b, dport)
}

const outOfWindowPayload = "far beyond the window"

func isOutOfWindow(packet []byte) bool { return strings.HasSuffix(string(packet), outOfWindowPayload) }

// outOfWindow is a segment of the same connection, 2^30 bytes later.
func outOfWindow(packet []byte) []byte {
	from, to := endpoints(packet)
	message := append(slices.Clone(tcpPart(packet)[:20]), outOfWindowPayload...)
	binary.BigEndian.PutUint32(message[4:], binary.BigEndian.Uint32(message[4:])+1<<30)
	message[12], message[13] = 5<<4, flagACK|flagPSH
	message[16], message[17] = 0, 0
	binary.BigEndian.PutUint16(message[16:], transportChecksum(protocolTCP, from.Addr(), to.Addr(), message))
	return netlab.Packet(from.Addr(), to.Addr(), protocolTCP, message)
}
