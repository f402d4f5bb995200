package packettest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"farmc/cmd/internal/netlab"
)

// knock has a client, told by a number, ask services so many times each. So many are answered, and these are the
// first; the others get no answer, or are refused.
type knock struct {
	as          int
	neighbour   bool // of IPv6: another address of the client's network
	by, to      string
	times, pass int
	refused     bool
	keep        bool // what was answered stays open
	say         int  // by UDP: how many datagrams each
	only        int  // how many of the services are asked; all if zero
}

// unanswered is how long nobody may answer to what is held back. It is shorter than what the kernel takes to repeat a SYN,
// so that each is counted once.
const unanswered = 300 * time.Millisecond

// clientAddress is a client's own: of IPv6 in a network of its own.
func clientAddress(n int, six bool) netip.Addr {
	if six {
		return netip.MustParseAddr(fmt.Sprintf("2001:db8:c:%x::1", 0x100+n))
	}
	return netip.AddrFrom4([4]byte{198, 51, 100, byte(100 + n)})
}

func (k knock) do(s *stage) (err error) {
	questions := s.questions("", k.by, k.to)
	if k.only > 0 {
		questions = questions[:k.only]
	}
	for _, q := range questions {
		err = errors.Join(err, q.blame(k.ask(s, q)))
	}
	return err
}

func (k knock) ask(s *stage, q question) error {
	as := clientAddress(k.as, q.to.Addr().Is6())
	if k.neighbour {
		as = netip.MustParseAddr(as.String() + ":2")
	}
	for n := range k.times {
		c, err := k.once(s, q, as)
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
			return fmt.Errorf("number %d as %s is held back otherwise: %w", n+1, as, err)
		}
	}
	return nil
}

func (k knock) once(s *stage, q question, as netip.Addr) (net.Conn, error) {
	c, err := q.from.Dial(q.network, netip.AddrPortFrom(as, uint16(10000+s.asked.Add(1))), q.to, k.wait(patience))
	if err != nil {
		return c, err
	}
	for n := 0; q.udp() && n < max(k.say, 1); n++ {
		if _, err := c.Write([]byte("who?")); err != nil {
			return c, err
		}
	}
	if err := c.SetDeadline(time.Now().Add(k.wait(patience))); err != nil {
		return c, err
	}
	_, err = netlab.ReadAnswer(c) // what is closed with something unread is reset
	return c, err
}

// wait is short where most are held back.
func (k knock) wait(long time.Duration) time.Duration {
	if k.pass < k.times {
		return unanswered
	}
	return long
}

// resets has a client open connections and end them by a reset.
type resets struct {
	as    int
	to    string
	times int
}

func (r resets) do(s *stage) error {
	for _, q := range s.questions("", "tcp", r.to) {
		for range r.times {
			c, err := knock{}.once(s, q, clientAddress(r.as, q.to.Addr().Is6()))
			if err != nil {
				return q.blame(err)
			}
			if err := errors.Join(c.(*net.TCPConn).SetLinger(0), c.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}

// provoke has a client knock as fast as it can.
type provoke struct {
	as    int
	to    string
	times int
}

func (p provoke) do(s *stage) error {
	for _, q := range s.questions("", "udp", p.to) {
		for range p.times {
			if err := s.send(clientAddress(p.as, q.to.Addr().Is6()), q.to.String(), 1); err != nil {
				return err
			}
		}
	}
	return nil
}

// send sends datagrams from ports that nobody has used, and waits for nothing.
func (s *stage) send(from netip.Addr, to string, times int) error {
	for range times {
		port := netip.AddrPortFrom(from, uint16(10000+s.asked.Add(1)))
		c, err := s.Client.Dial("udp"+family(from), port, netip.MustParseAddrPort(to), patience)
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

// closing closes the first so many connections that are held.
type closing struct{ n int }

func (h closing) do(s *stage) (err error) {
	for _, c := range s.held[:h.n] {
		err = errors.Join(err, c.Close())
	}
	s.held = s.held[h.n:]
	return err
}

// stalls: of the connections that are held, those with these numbers carry nothing.
type stalls struct{ from, to int }

func (w stalls) do(s *stage) error {
	for _, c := range s.held[w.from:w.to] {
		if _, err := c.Write([]byte("anybody?")); err != nil {
			return c.blame(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(unanswered)); err != nil {
			return err
		}
		buffer := make([]byte, 1<<10)
		for {
			n, err := c.Read(buffer)
			if netlab.TimedOut(err) {
				break
			}
			if strings.Contains(string(buffer[:n]), "anybody?") || err != nil {
				return c.blame(fmt.Errorf("carries on: %q %w", buffer[:n], err))
			}
		}
	}
	return nil
}

// heldBack: so many packets of a farm were held back for the reason.
type heldBack struct {
	farm, reason string
	packets      int
	orMore       bool // of who is banned, what the kernel still sends for connections that were
}

var packetsOf = regexp.MustCompile(`packets ([0-9]+)`)

func (c heldBack) do(s *stage) error {
	n, err := c.now(s)
	if err != nil || n < c.packets || n > c.packets && !c.orMore {
		return fmt.Errorf("%d packets of %s are counted as %s, want %d (%w)", n, c.farm, c.reason, c.packets, err)
	}
	return nil
}

func (c heldBack) now(s *stage) (int, error) {
	for _, table := range []string{"inet", "netdev"} {
		out, err := s.Balancer.Run(s.ctx, "", "nft", "list", "counter", table, "farmc", "farm/"+c.farm+"/"+c.reason)
		if found := packetsOf.FindStringSubmatch(out); err == nil && found != nil {
			return strconv.Atoi(found[1])
		}
	}
	return 0, errors.New("there is no such counter")
}

// bans puts a client into a farm's set of those who are shut out.
type bans struct{ farm, client string }

func (b bans) do(s *stage) error {
	set := fmt.Sprintf("farm/%s/banned-%s", b.farm, map[bool]string{false: "ip4", true: "ip6"}[strings.Contains(b.client, ":")])
	_, err := s.Balancer.Run(s.ctx, "", "nft", "add", "element", "inet", "farmc", set, "{ "+b.client+" timeout 1h }")
	return err
}
