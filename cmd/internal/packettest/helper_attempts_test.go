package packettest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"farmc/cmd/internal/netlab"
)

// An attempt is a number of requests of one client to each service. The first ones are answered; the others get no
// answer, or are refused.
type attempt struct {
	as           int
	sameNetwork  bool // IPv6: another address of the client's /64
	by, to       string
	times, pass  int
	refused      bool
	keep         bool // answered connections stay open
	datagrams    int  // UDP: datagrams in each request
	firstTargets int  // the number of services that get requests; all if zero
}

// dropTimeout is the time that an attempt waits for no answer. It is shorter than the kernel's retransmission timeout
// of a SYN, so that each attempt is counted once. On a busy machine it can end a second late.
const dropTimeout = 300 * time.Millisecond

// clientAddress is the address of client n, with IPv6 in a /64 of its own.
func clientAddress(n int, six bool) netip.Addr {
	if six {
		return netip.MustParseAddr(fmt.Sprintf("2001:db8:c:%x::1", 0x100+n))
	}
	return netip.AddrFrom4([4]byte{198, 51, 100, byte(100 + n)})
}

func (k attempt) do(s *testbed) (err error) {
	questions := s.targets("", k.by, k.to)
	if k.firstTargets > 0 {
		questions = questions[:k.firstTargets]
	}
	for _, q := range questions {
		err = errors.Join(err, q.wrap(k.attemptAll(s, q)))
	}
	return err
}

func (k attempt) attemptAll(s *testbed, q target) error {
	as := clientAddress(k.as, q.to.Addr().Is6())
	if k.sameNetwork {
		as = netip.MustParseAddr(as.String() + ":2")
	}
	for n := range k.times {
		began := time.Now()
		c, err := k.once(s, q, as, k.wait(n))
		switch passed := err == nil; {
		case passed && n >= k.pass:
			c.Close()
			return fmt.Errorf("number %d as %s is answered", n+1, as)
		case passed && k.keep:
			s.held = append(s.held, connection{c, q})
		case passed:
			c.Close()
		case n < k.pass:
			return fmt.Errorf("number %d as %s: %w", n+1, as, err)
		case !k.refused && !netlab.TimedOut(err) || k.refused && !q.isRefusal(err):
			return fmt.Errorf("number %d as %s fails for another reason: %w", n+1, as, err)
		case !k.refused && !q.udp():
			s.retransmitted += int(time.Since(began) / time.Second)
		}
	}
	return nil
}

func (k attempt) once(s *testbed, q target, as netip.Addr, wait time.Duration) (net.Conn, error) {
	c, err := q.from.Dial(q.network, netip.AddrPortFrom(as, uint16(10000+s.sourcePorts.Add(1))), q.to, wait)
	if err != nil {
		return c, err
	}
	for n := 0; q.udp() && n < max(k.datagrams, 1); n++ {
		if _, err := c.Write([]byte("who?")); err != nil {
			return c, err
		}
	}
	if err := c.SetDeadline(time.Now().Add(wait)); err != nil {
		return c, err
	}
	_, err = netlab.ReadAnswer(c) // closing a socket with unread data resets the connection
	return c, err
}

// wait is the timeout of the nth attempt: short if a limit is to drop it.
func (k attempt) wait(n int) time.Duration {
	if n < k.pass || k.refused {
		return answerTimeout
	}
	return dropTimeout
}

// resetConnections: a client opens connections and resets them.
type resetConnections struct {
	as    int
	to    string
	times int
}

func (r resetConnections) do(s *testbed) error {
	for _, q := range s.targets("", "tcp", r.to) {
		for range r.times {
			c, err := attempt{}.once(s, q, clientAddress(r.as, q.to.Addr().Is6()), answerTimeout)
			if err != nil {
				return q.wrap(err)
			}
			if err := errors.Join(c.(*net.TCPConn).SetLinger(0), c.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}

// sendDatagrams: a client sends datagrams as fast as it can.
type sendDatagrams struct {
	as    int
	to    string
	times int
}

func (p sendDatagrams) do(s *testbed) error {
	for _, q := range s.targets("", "udp", p.to) {
		for range p.times {
			if err := s.send(clientAddress(p.as, q.to.Addr().Is6()), q.to.String(), 1); err != nil {
				return err
			}
		}
	}
	return nil
}

// send sends each datagram from a new port, and waits for no answer.
func (s *testbed) send(from netip.Addr, to string, times int) error {
	for range times {
		port := netip.AddrPortFrom(from, uint16(10000+s.sourcePorts.Add(1)))
		c, err := s.Client.Dial("udp"+family(from), port, netip.MustParseAddrPort(to), answerTimeout)
		if err != nil {
			return err
		}
		_, err = c.Write([]byte("who?"))
		if err = errors.Join(err, c.Close()); err != nil {
			return err
		}
	}
	return nil
}

// closeHeld closes the first n connections that are held.
type closeHeld struct{ n int }

func (h closeHeld) do(s *testbed) (err error) {
	for _, c := range s.held[:h.n] {
		err = errors.Join(err, c.Close())
	}
	s.held = s.held[h.n:]
	return err
}

// stalled: the held connections with these numbers carry no data.
type stalled struct{ from, to int }

func (w stalled) do(s *testbed) error {
	for _, c := range s.held[w.from:w.to] {
		if err := c.SetDeadline(time.Now().Add(dropTimeout)); err != nil {
			return err
		}
		if _, err := c.Write([]byte("still there?")); err != nil {
			return c.wrap(err)
		}
		buffer := make([]byte, 1<<10)
		for {
			n, err := c.Read(buffer)
			if netlab.TimedOut(err) {
				break
			}
			if strings.Contains(string(buffer[:n]), "still there?") || err != nil {
				return c.wrap(fmt.Errorf("carries data: %q %w", buffer[:n], err))
			}
		}
	}
	return nil
}

// answeredLate: the first n held connections answer the question of stalled after all.
type answeredLate struct{ n int }

func (l answeredLate) do(s *testbed) error {
	for _, c := range s.held[:l.n] {
		if err := c.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
			return err
		}
		var read []byte
		for buffer := make([]byte, 1<<10); !strings.Contains(string(read), "still there?"); {
			n, err := c.Read(buffer)
			if err != nil {
				return c.wrap(fmt.Errorf("the connection has stalled for good, after %q: %w", read, err))
			}
			read = append(read, buffer[:n]...)
		}
	}
	return nil
}

// noneEstablished: conntrack has no established TCP connection to a service. With ended, all of them have ended.
type noneEstablished struct{ ended bool }

func (e noneEstablished) do(s *testbed) error {
	flows, err := s.conntrackEntries()
	for _, flow := range flows {
		tcp, ok := flow.ProtoInfo.(*netlink.ProtoInfoTCP)
		for _, to := range []string{"192.0.2.1", "2001:db8::1"} {
			if ok && flow.Forward.DstIP.Equal(netip.MustParseAddr(to).AsSlice()) && e.counts(tcp.State) {
				return fmt.Errorf("a connection is open, in state %d: %v", tcp.State, flow)
			}
		}
	}
	return err
}

// States of TCP connections in conntrack (enum tcp_conntrack).
const (
	conntrackEstablished = 3
	conntrackTimeWait    = 7
	conntrackClose       = 8
)

func (e noneEstablished) counts(state uint8) bool {
	return state == conntrackEstablished || e.ended && state != conntrackTimeWait && state != conntrackClose
}
