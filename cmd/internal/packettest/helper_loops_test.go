package packettest

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"farmc/cmd/internal/netlab"
)

// statelessOnBalancer is a stateless farm with its one backend on the balancer.
const statelessOnBalancer = `mode = "stateless"
listen = [` + listen1 + `]
[backends.here]
address = ["10.2.0.1", "fd00:2::1"]
port    = 8083
`

// backendRequests sends requests from a backend to a service of its farm. The source ports are in the kernel's default
// range of ephemeral ports, 32768 to 60999.
type backendRequests struct{ backend, to string }

func (c backendRequests) do(s *testbed) error {
	for _, q := range s.targets(c.backend, "tcp udp", c.to) {
		for port := range uint16(4) {
			if _, err := q.request(netip.AddrPortFrom(netip.Addr{}, 40000+port)); err != nil {
				return q.wrap(err)
			}
		}
	}
	return nil
}

// requestFromServicePort: a backend sends a request to the client, which is no service of a farm, from the port of its
// own service.
func requestFromServicePort(s *testbed) error {
	for _, q := range s.targets("b1", "udp", "198.51.100.2:80 [2001:db8:c::2]:80") {
		if _, err := q.request(netip.AddrPortFrom(netip.Addr{}, 8090)); err != nil {
			return q.wrap(err)
		}
	}
	return nil
}

// spoofed sends datagrams with each of the sources to each of the targets. The balancer may see each datagram and the
// answers to it mostPasses times.
type spoofed struct{ from, to string }

// mostPasses is the number of packets that come in at the balancer for one datagram, at most.
const mostPasses = 3

// passedDatagrams counts the UDP packets that come in at the balancer.
const passedDatagrams = `table inet spy {
	counter passed { }
	chain seen { type filter hook prerouting priority -500; meta l4proto udp counter name passed; }
}`

func (l spoofed) do(s *testbed) error {
	if err := nftScript("table inet spy\ndelete table inet spy\n" + passedDatagrams).do(s); err != nil {
		return err
	}
	for _, from := range strings.Fields(l.from) {
		for _, to := range strings.Fields(l.to) {
			from, to := netip.MustParseAddrPort(from), netip.MustParseAddrPort(to)
			if from.Addr().Is6() != to.Addr().Is6() {
				continue
			}
			if err := l.once(s, from, to); err != nil {
				return err
			}
		}
	}
	return nil
}

func (spoofed) once(s *testbed, from, to netip.AddrPort) error {
	before, err := nftCounter(s, "spy", "passed")
	if err != nil {
		return err
	}
	if err := s.sendToBalancer(rawDatagram(from, to, "who?")); err != nil {
		return err
	}
	time.Sleep(noAnswerTimeout)
	after, err := nftCounter(s, "spy", "passed")
	switch {
	case err != nil:
		return err
	case after == before && !from.Addr().IsLoopback(): // the kernel may drop loopback sources before all rules
		return fmt.Errorf("a datagram from %s to %s does not arrive at the balancer", from, to)
	case after-before > mostPasses:
		return fmt.Errorf("one datagram from %s to %s makes %d at the balancer, want at most %d", from, to,
			after-before, mostPasses)
	}
	return nil
}

// sendToBalancer sends a packet from the client in a frame to the balancer, past the client's routes.
func (s *testbed) sendToBalancer(packet []byte) error {
	var to net.HardwareAddr
	err := s.Balancer.Do(func() error {
		link, err := net.InterfaceByName("eth0")
		if err == nil {
			to = link.HardwareAddr
		}
		return err
	})
	if err != nil {
		return err
	}
	frame := append(append(to, 2, 0, 0, 0, 0, 0x98), etherType(packet)...)
	return s.Client.SendFrame("eth0", append(frame, packet...))
}

// rawDatagram is a UDP packet with its IP header.
func rawDatagram(from, to netip.AddrPort, payload string) []byte {
	message := binary.BigEndian.AppendUint16(nil, from.Port())
	message = binary.BigEndian.AppendUint16(message, to.Port())
	message = binary.BigEndian.AppendUint16(message, uint16(8+len(payload)))
	message = append(append(message, 0, 0), payload...)
	binary.BigEndian.PutUint16(message[6:], transportChecksum(protocolUDP, from.Addr(), to.Addr(), message))
	return netlab.Packet(from.Addr(), to.Addr(), protocolUDP, message)
}
