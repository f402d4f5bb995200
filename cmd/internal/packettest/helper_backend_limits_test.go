package packettest

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"farmc/cmd/internal/netlab"
)

// fill opens connections to services in turn, and keeps them, until the farm refuses one or the number is reached. Then
// each backend has to have the connections in until, counted with those from before.
type fill struct {
	from, by, to string
	more         int // the number of connections; until refused if zero
	until        shares
}

func (f fill) do(s *testbed) error {
	questions := s.targets(f.from, f.by, f.to)
	before := len(s.held)
	for i := 0; f.more == 0 || i < f.more; i++ {
		q := questions[i%len(questions)]
		err := s.holdOne(q)
		if f.more == 0 && err != nil && q.isRefusal(err) {
			break
		}
		if err == nil && i == 100 {
			err = errors.New("100 connections, and no limit")
		}
		if err != nil {
			return q.wrap(fmt.Errorf("connection %d: %w", i, err))
		}
	}
	has := shares{}
	for _, c := range s.held {
		has[c.answeredBy()]++
	}
	if f.until == nil || maps.Equal(has, f.until) {
		return nil
	}
	for _, c := range s.held[before:] {
		c.Close()
	}
	s.held = s.held[:before]
	return fmt.Errorf("the backends have %v, want %v", has, f.until)
}

// An answeredConn is an open connection with the name of its backend.
type answeredConn struct {
	net.Conn
	by string
}

func (c connection) answeredBy() string {
	a, _ := c.Conn.(answeredConn)
	return a.by
}

// holdOne opens a connection, and keeps it.
func (s *testbed) holdOne(q target) error {
	c, err := q.dial(s.newClient(q.from, q.to.Addr()))
	if err != nil {
		return err
	}
	if q.udp() {
		if _, err := c.Write([]byte("who?")); err != nil {
			return err
		}
	}
	answer, err := netlab.ReadAnswer(c)
	if err != nil {
		return errors.Join(err, c.Close())
	}
	s.held = append(s.held, connection{answeredConn{c, answer.Backend}, q})
	return nil
}

// closeOne closes one connection with a backend.
func (s *testbed) closeOne(backend string) error {
	i := slices.IndexFunc(s.held, func(c connection) bool { return c.answeredBy() == backend && !c.udp() })
	if i < 0 {
		return fmt.Errorf("there is no connection with %s", backend)
	}
	err := s.held[i].Close()
	s.held = slices.Delete(s.held, i, i+1)
	return err
}

// refill closes a connection with each backend in turn, and opens another until that backend has one; then all
// backends are full again.
type refill struct {
	from, by, to string
	turns        int
	except       string // a backend without a limit
}

func (r refill) do(s *testbed) error {
	for turn := range r.turns {
		for _, backend := range strings.Fields("b1 b2") {
			if err := s.closeOne(backend); err != nil {
				return err
			}
			q := s.targets(r.from, r.by, r.to)
			var over error // another backend got a connection above its limit
			if err := (eventually{stepFunc(func(s *testbed) error {
				who, err := r.once(s, q[turn%len(q)], backend)
				if who != "" && who != backend && who != r.except {
					over = errors.Join(over, fmt.Errorf("turn %d: %s was full, and took another connection", turn, who))
				}
				return err
			})}).do(s); err != nil || over != nil {
				return fmt.Errorf("turn %d: %w", turn, errors.Join(err, over))
			}
			if r.except == "" {
				if err := (refused{from: r.from, by: "tcp udp", to: r.to}).do(s); err != nil {
					return fmt.Errorf("turn %d: %w", turn, err)
				}
			}
		}
	}
	return echo{}.do(s)
}

// once opens a connection, and keeps it if the backend answers. It returns the name of the answering backend.
func (r refill) once(s *testbed, q target, backend string) (string, error) {
	if err := s.holdOne(q); err != nil {
		return "", err
	}
	last := len(s.held) - 1
	who := s.held[last].answeredBy()
	if who == backend {
		return who, nil
	}
	s.held[last].Close()
	s.held = s.held[:last]
	return who, fmt.Errorf("%s answered, want %s", who, backend)
}

// clientRequest sends one request from one client's address.
type clientRequest struct{ client, to, backend string }

func (a clientRequest) do(s *testbed) error {
	q := s.targets("", "tcp", a.to)[0]
	answer, err := q.request(netip.AddrPortFrom(netip.MustParseAddr(a.client),
		s.newClient(s.Client, q.to.Addr()).Port()))
	if err == nil && answer.Backend != a.backend {
		err = fmt.Errorf("%s answered, want %s", answer.Backend, a.backend)
	}
	return q.wrap(err)
}
