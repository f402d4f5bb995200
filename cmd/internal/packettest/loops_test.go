package packettest

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/netlab"
)

// TestLoops: two services that answer each datagram, as DNS servers once did, talk to each other without end if a
// datagram names one of them as its source. A stateless farm ends that at the first answer.
func TestLoops(t *testing.T) {
	t.Parallel()
	var all []scene
	for _, w := range ways[:2] {
		all = append(all,
			w.scene("port", farms{"web": w.stateless(listenBoth, "", "b1:8081")},
				looped{service, both}, looped{b1Service, both}),
			w.scene("same-port", farms{"web": w.stateless(listenBoth, "", "b1")},
				looped{service, both}, looped{"10.2.0.11:80 [fd00:2::11]:80", both}),
			w.scene("two-backends", farms{"web": w.stateless(listenBoth, "", "b1:8081", "b2")},
				looped{service, both}, looped{b1Service, both},
				looped{"10.2.0.12:80 [fd00:2::12]:80", both}),
			w.scene("two-farms", farms{"web": w.stateless(listenBoth, "", "b1:8081"),
				"other": w.stateless(listenSecond, "", "b2")},
				looped{second, both}, looped{service, second},
				looped{"10.2.0.12:443 [fd00:2::12]:443", both}, looped{b1Service, second}),
			// the way back from one backend to another is by the balancer, as else the answer is not from the service
			w.scene("backends-are-clients", farms{"web": w.stateless(listenBoth, "", "b1:8081")},
				deed(func(s *stage) error {
					return routes(s.Backends[0], "10.2.0.1 fd00:2::1", "10.2.0.12/32 fd00:2::12/128")
				}),
				ownClient{"b2", both}, ask{from: "b2", by: "tcp udp", to: both, shares: shares{"b1:8081": 1}}),
			w.scene("range", farms{"web": w.stateless(listenBoth, "", "b1:8081"),
				"range": w.stateless(`"192.0.2.2:8000-8070/tcp,udp", "[2001:db8::2]:8000-8070/tcp,udp"`, "", "b2")},
				looped{inRange, inRange}, looped{"10.2.0.12:8050 [fd00:2::12]:8050", inRange},
				looped{"10.2.0.12:8050 [fd00:2::12]:8050", both}, looped{b1Service, inRange}),
			w.scene("whole-address", farms{"web": w.stateless(listenBoth, "", "b1:8081"),
				"all": w.stateless(wholeThird, "", "b3")},
				looped{third, third}, looped{"10.2.0.13:80 [fd00:2::13]:80", third},
				looped{"10.2.0.13:53 [fd00:2::13]:53", both}, looped{b1Service, third},
				looped{"192.0.2.1:80 [2001:db8::1]:80", third}, ownClient{"b3", third}),
			w.scene("known-clients", farms{"web": w.stateless(listenBoth, "persistence = {}", "b1:8081", "b2")},
				looped{service, both}, looped{b1Service, both},
				looped{"10.2.0.12:80 [fd00:2::12]:80", both}),
			w.scene("machine-itself", farms{"web": w.stateless(listenBoth, "", "b1:8081")},
				looped{"127.0.0.1:80 [::1]:80", both}, looped{"203.0.113.1:80 [2001:db8:f::1]:80", both}),
			w.scene("backend-on-the-balancer", farms{"web": onTheBalancer},
				looped{service, both}, looped{"10.2.0.1:8083 [fd00:2::1]:8083", both},
				ask{by: "tcp udp", to: both, shares: shares{"balancer:8083": 1}}),
		)
	}
	play(t, append(all, ways[0].scene("untracked-by-others",
		foreign(`table inet others {
			chain c { type filter hook prerouting priority raw; udp sport 8090 notrack; udp dport 8090 notrack; }
		}`),
		farms{"web": ways[0].stateless(listenBoth, "", "b1:8090")},
		deed(asksFromItsServicePort))))
}

const onTheBalancer = `mode = "stateless"
listen = [` + listenBoth + `]
[backends.here]
address = ["10.2.0.1", "fd00:2::1"]
port    = 8083
`

// service is where a farm listens that the datagrams claim to come from.
const service = both

const b1Service = "10.2.0.11:8081 [fd00:2::11]:8081"

// An ownClient is a backend that asks a service of its farm, from a port that the kernel opens conversations from.
type ownClient struct{ backend, to string }

func (c ownClient) do(s *stage) error {
	for _, q := range s.questions(c.backend, "tcp udp", c.to) {
		for port := range uint16(4) {
			if _, err := q.ask(netip.AddrPortFrom(netip.Addr{}, 40000+port)); err != nil {
				return q.blame(err)
			}
		}
	}
	return nil
}

// asksFromItsServicePort: a backend asks the client, which is no service of a farm.
func asksFromItsServicePort(s *stage) error {
	for _, q := range s.questions("b1", "udp", "198.51.100.2:80 [2001:db8:c::2]:80") {
		if _, err := q.ask(netip.AddrPortFrom(netip.Addr{}, 8090)); err != nil {
			return q.blame(err)
		}
	}
	return nil
}

// A looped datagram claims to come from each of some addresses: by each the balancer is passed a few times at most.
type looped struct{ from, to string }

// mostPasses is how often the balancer may see a datagram, or an answer to it.
const mostPasses = 3

// passedDatagrams counts what comes in at the balancer by UDP.
const passedDatagrams = `table inet spy {
	counter passed { }
	chain seen { type filter hook prerouting priority -500; meta l4proto udp counter name passed; }
}`

func (l looped) do(s *stage) error {
	if err := foreign("table inet spy\ndelete table inet spy\n" + passedDatagrams).do(s); err != nil {
		return err
	}
	for _, from := range strings.Fields(l.from) {
		for _, to := range strings.Fields(l.to) {
			if err := l.once(s, netip.MustParseAddrPort(from), netip.MustParseAddrPort(to)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (looped) once(s *stage, from, to netip.AddrPort) error {
	if from.Addr().Is6() != to.Addr().Is6() {
		return nil
	}
	before, err := s.counted("passed")
	if err != nil {
		return err
	}
	if err := s.frame(rawDatagram(from, to, "who?")); err != nil {
		return err
	}
	time.Sleep(silence)
	after, err := s.counted("passed")
	switch {
	case err != nil:
		return err
	case after == before && !from.Addr().IsLoopback(): // which the kernel may drop before all rules
		return fmt.Errorf("a datagram from %s to %s does not come to the balancer", from, to)
	case after-before > mostPasses:
		return fmt.Errorf("of one datagram from %s to %s come %d", from, to, after-before)
	}
	return nil
}

// frame has the client send a packet to the balancer, wherever the client's own kernel would send it.
func (s *stage) frame(packet []byte) error {
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

// rawDatagram is a whole packet of UDP.
func rawDatagram(from, to netip.AddrPort, payload string) []byte {
	message := binary.BigEndian.AppendUint16(nil, from.Port())
	message = binary.BigEndian.AppendUint16(message, to.Port())
	message = binary.BigEndian.AppendUint16(message, uint16(8+len(payload)))
	message = append(append(message, 0, 0), payload...)
	binary.BigEndian.PutUint16(message[6:], transportChecksum(protocolUDP, from.Addr(), to.Addr(), message))
	return netlab.Packet(from.Addr(), to.Addr(), protocolUDP, message)
}
