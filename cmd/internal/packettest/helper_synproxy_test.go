package packettest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"farmc/cmd/internal/netlab"
)

// receiveOffload verifies checksums as network cards do. The links of the lab leave that to the stack, and then the
// kernel's synproxy drops IPv6 segments: it computes the checksum of IPv4 for them (nft_synproxy_do_eval, on 6.18).
var receiveOffload = stepFunc(func(s *testbed) error {
	return errors.Join(s.Balancer.Offload("eth0"), s.Balancer.Offload("eth1"))
})

// cookies: the kernel has answered this number of SYNs for the farm.
type cookies struct {
	farm string
	syns uint64
}

func (c cookies) do(s *testbed) error {
	f, err := s.status(c.farm)
	if err == nil && f.Cookies == nil {
		return fmt.Errorf("no SYNs to %s are counted", c.farm)
	}
	if err != nil || *f.Cookies < c.syns || *f.Cookies > c.syns+uint64(s.retransmitted) {
		return fmt.Errorf("%d SYNs to %s are answered, want %d (%w)", *f.Cookies, c.farm, c.syns, err)
	}
	return nil
}

// keptOptions: the clients of all held TCP connections use timestamps, selective acknowledgements, and windows that
// grow by this shift count.
type keptOptions struct{ shift uint8 }

func (k keptOptions) do(s *testbed) error {
	for _, c := range s.held {
		raw, err := c.Conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			return err
		}
		var info *unix.TCPInfo
		var asked error
		if err := raw.Control(func(fd uintptr) {
			info, asked = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		}); err != nil || asked != nil {
			return errors.Join(err, asked)
		}
		const timestamps, sack, scaling = 1, 2, 4          // TCPI_OPT_*
		shift := (*[8]byte)(unsafe.Pointer(info))[6] & 0xf // a field of four bits, which package unix leaves out
		if all := uint8(timestamps | sack | scaling); info.Options&all != all || shift != k.shift {
			return c.wrap(fmt.Errorf("options %#x, a shift count of %d", info.Options, shift))
		}
	}
	return nil
}

// forgedSegments: segments from many addresses get this answer, if any. None reaches a backend, and none is tracked.
type forgedSegments struct {
	to       string
	flags    byte
	answered bool // by a SYN-ACK for each
}

func (f forgedSegments) do(s *testbed) error {
	for _, q := range s.targets("", "tcp", f.to) {
		hearing, err := s.capture(s.endHosts()...)
		if err != nil {
			return err
		}
		defer hearing.close()
		for n := range forgedCount {
			from := netip.AddrPortFrom(clientAddress(n, q.to.Addr().Is6()), uint16(forgedPort+n))
			if err := s.Client.SendPacket(segment{"", f.flags, 1460}.bytes(from, q.to)); err != nil {
				return err
			}
		}
		if err := f.heard(s, hearing); err != nil {
			return q.wrap(err)
		}
		flows, err := s.conntrackEntries()
		if err != nil {
			return err
		}
		for _, flow := range flows {
			if flow.Forward.Protocol == protocolTCP && isForged(flow.Forward.SrcPort) {
				return q.wrap(fmt.Errorf("a connection is tracked: %v", flow))
			}
		}
	}
	return nil
}

// The number of forged segments, and the first port that they come from.
const forgedCount, forgedPort = 100, 40000

func isForged(port uint16) bool { return port >= forgedPort && port < forgedPort+forgedCount }

// heard reads the packets of TCP that machines get until all answers are there and no other packet comes.
func (f forgedSegments) heard(s *testbed, hearing *capture) error {
	answers := 0
	for {
		select {
		case parsed := <-hearing.packets:
			got, err := parsed()
			switch {
			case err != nil:
				return err
			case got.protocol != protocolTCP:
				continue
			case !isForged(binary.BigEndian.Uint16([]byte(got.body))) &&
				!isForged(binary.BigEndian.Uint16([]byte(got.body[2:]))):
				continue
			case got.at != s.Client:
				return fmt.Errorf("a segment from %s reaches %s", got.from, got.at.Name)
			case got.body[13] != flagSYN|flagACK:
				return fmt.Errorf("the answer has flags %#x", got.body[13])
			}
			answers++
		case <-time.After(noAnswerTimeout):
			if want := map[bool]int{true: forgedCount}[f.answered]; answers != want {
				return fmt.Errorf("%d answers, want %d", answers, want)
			}
			return nil
		}
	}
}

// oneHandshake: for each new connection the backend b1 gets a SYN and an ACK without timestamps. Linux from 6.15 on
// drops an ACK with the timestamp that the kernel of the balancer makes of it, and sends its SYN-ACK again.
type oneHandshake struct{ to string }

func (h oneHandshake) do(s *testbed) error {
	for _, q := range s.targets("", "tcp", h.to) {
		tap, err := s.Backends[0].Tap("eth0")
		if err != nil {
			return err
		}
		defer tap.Close()
		if answer, err := q.request(s.newClient(q.from, q.to.Addr())); err != nil || answer.Backend != "b1" {
			return q.wrap(fmt.Errorf("%s answers (%w)", answer.Backend, err))
		}
		var port []byte // of the client as b1 sees it; segments of earlier connections may still arrive
		for _, flags := range []byte{flagSYN, flagACK} {
			packet, err := tap.Next(answerTimeout, func(packet []byte) bool {
				if protocolOf(packet) != protocolTCP {
					return false
				}
				message := tcpPart(packet)
				if port == nil && message[13] == flagSYN {
					port = slices.Clone(message[:2])
				}
				return port != nil && bytes.Equal(message[:2], port)
			})
			if err != nil {
				return q.wrap(err)
			}
			message := tcpPart(packet)
			options := message[20 : message[12]>>4*4]
			if message[13] != flags || flags == flagACK && strings.Trim(string(options), "\x01") != "" {
				return q.wrap(fmt.Errorf("a segment has flags %#x and options %x, want flags %#x", message[13], options,
					flags))
			}
		}
	}
	return nil
}

// refusedLater: the backend refuses a connection that is open for the client, which gets a reset.
type refusedLater struct{ to string }

func (r refusedLater) do(s *testbed) error {
	for _, q := range s.targets("", "tcp", r.to) {
		c, err := q.dial(s.newClient(q.from, q.to.Addr()))
		if err == nil {
			_, err = netlab.ReadAnswer(c)
			c.Close()
		}
		if !errors.Is(err, unix.ECONNRESET) {
			return q.wrap(fmt.Errorf("the connection ends by %v", err))
		}
	}
	return nil
}
