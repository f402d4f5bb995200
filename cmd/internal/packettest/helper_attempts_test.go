package packettest

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/netlab"
	"farmc/compiler"
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
// so that each is counted once, but on a machine that is so busy that it ends a second late.
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
			return fmt.Errorf("number %d as %s is held back otherwise: %w", n+1, as, err)
		case !k.refused && !q.udp():
			s.repeated += int(time.Since(began) / time.Second)
		}
	}
	return nil
}

func (k knock) once(s *stage, q question, as netip.Addr, wait time.Duration) (net.Conn, error) {
	c, err := q.from.Dial(q.network, netip.AddrPortFrom(as, uint16(10000+s.asked.Add(1))), q.to, wait)
	if err != nil {
		return c, err
	}
	for n := 0; q.udp() && n < max(k.say, 1); n++ {
		if _, err := c.Write([]byte("who?")); err != nil {
			return c, err
		}
	}
	if err := c.SetDeadline(time.Now().Add(wait)); err != nil {
		return c, err
	}
	_, err = netlab.ReadAnswer(c) // what is closed with something unread is reset
	return c, err
}

// wait is how long the nth is waited for: only briefly where it is to be held back silently.
func (k knock) wait(n int) time.Duration {
	if n < k.pass || k.refused {
		return patience
	}
	return unanswered
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
			c, err := knock{}.once(s, q, clientAddress(r.as, q.to.Addr().Is6()), patience)
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
		if err := c.SetDeadline(time.Now().Add(unanswered)); err != nil {
			return err
		}
		if _, err := c.Write([]byte("anybody?")); err != nil {
			return c.blame(err)
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

func (c heldBack) do(s *stage) error {
	n, err := c.now(s)
	for end := deadline(); err == nil && n < c.packets && !end.over(); { // some may be on their way
		n, err = c.now(s)
	}
	if err != nil || n < c.packets || n > c.packets+s.repeated && !c.orMore {
		return fmt.Errorf("%d packets of %s are counted as %s, want %d (%w)", n, c.farm, c.reason, c.packets, err)
	}
	return nil
}

func (c heldBack) now(s *stage) (int, error) {
	f, err := s.status(c.farm)
	n, ok := f.HeldBack[c.reason]
	if !ok && err == nil {
		err = errors.New("there is no such counter")
	}
	return int(n), err
}

// status is how a farm stands.
func (s *stage) status(farm string) (f live.FarmStatus, err error) {
	err = s.Balancer.Do(func() error {
		status, err := s.engine.Status(s.ctx, farm)
		if err == nil && (len(status.Farms) != 1 || status.Rules != live.RulesLoaded) {
			err = fmt.Errorf("the status is %+v", status)
		}
		if err == nil {
			f = status.Farms[0]
		}
		return err
	})
	return f, err
}

// served: so much did each backend of a farm get, and so many connections to it are open.
type served struct {
	farm        string
	given, open map[string]int
}

func (w served) do(s *stage) error {
	f, err := s.status(w.farm)
	if err != nil {
		return err
	}
	given, open := map[string]int{}, map[string]int{}
	for _, b := range f.Backends {
		if b.Served != nil {
			given[b.Name] = int(*b.Served)
		}
		if b.Open != nil {
			open[b.Name] = *b.Open
		}
	}
	if !maps.Equal(given, w.given) || !maps.Equal(open, w.open) {
		return fmt.Errorf("the backends of %s got %v, want %v; open are %v, want %v", w.farm, given, w.given, open, w.open)
	}
	return nil
}

// shutOut are exactly those whom a farm bans, for no longer than that.
type shutOut struct {
	farm    string
	clients []string
	most    time.Duration
}

func (w shutOut) do(s *stage) error {
	f, err := s.status(w.farm)
	if err != nil {
		return err
	}
	var clients []string
	for _, b := range f.Banned {
		clients = append(clients, b.Client)
		if b.Left <= 0 || b.Left > w.most.Seconds() {
			err = fmt.Errorf("%s is banned for %g s", b.Client, b.Left)
		}
	}
	slices.Sort(clients)
	if !slices.Equal(clients, w.clients) {
		err = fmt.Errorf("%v are banned, want %v", clients, w.clients)
	}
	return err
}

// bans puts a client into a farm's set of those who are shut out.
type bans struct{ farm, client string }

func (b bans) do(s *stage) error {
	client, _ := compiler.ParseClient(b.client)
	return s.Balancer.Do(func() error {
		_, err := s.engine.Ban(s.ctx, b.farm, client, 0)
		return err
	})
}

// unbans lets a client in again.
type unbans struct{ farm, client string }

func (b unbans) do(s *stage) error {
	client, _ := compiler.ParseClient(b.client)
	return s.Balancer.Do(func() error {
		was, err := s.engine.Unban(s.ctx, b.farm, client)
		if err == nil && !was {
			err = errors.New("nobody was banned")
		}
		return err
	})
}
