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

// fill opens connections to services in turn, and keeps them, until they are refused or there are so many. So many each
// backend has to have then, with those that it had before.
type fill struct {
	from, by, to string
	more         int // as many, if not until they are refused
	until        shares
}

func (f fill) do(s *stage) error {
	questions := s.questions(f.from, f.by, f.to)
	before := len(s.held)
	for i := 0; f.more == 0 || i < f.more; i++ {
		q := questions[i%len(questions)]
		err := s.holdOne(q)
		if f.more == 0 && err != nil && q.isRefusal(err) {
			break
		}
		if err == nil && i == 100 {
			err = errors.New("there is no limit")
		}
		if err != nil {
			return q.blame(fmt.Errorf("connection %d: %w", i, err))
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

// An answered is an open connection, of which it is known who answered.
type answered struct {
	net.Conn
	by string
}

func (c connection) answeredBy() string {
	a, _ := c.Conn.(answered)
	return a.by
}

// holdOne opens a connection, and keeps it.
func (s *stage) holdOne(q question) error {
	c, err := q.dial(s.speaker(q.from, q.to.Addr()))
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
	s.held = append(s.held, connection{answered{c, answer.Backend}, q})
	return nil
}

// hangUp ends a connection with a backend.
func (s *stage) hangUp(backend string) error {
	i := slices.IndexFunc(s.held, func(c connection) bool { return c.answeredBy() == backend && !c.udp() })
	if i < 0 {
		return fmt.Errorf("there is no connection with %s", backend)
	}
	err := s.held[i].Close()
	s.held = slices.Delete(s.held, i, i+1)
	return err
}

// refill ends a connection with each backend in turn, and asks until it has another one; then it is full again.
type refill struct {
	from, by, to string
	turns        int
	except       string // that has no limit
}

func (r refill) do(s *stage) error {
	for turn := range r.turns {
		for _, backend := range strings.Fields("b1 b2") {
			if err := s.hangUp(backend); err != nil {
				return err
			}
			q := s.questions(r.from, r.by, r.to)
			var over error // another backend took what it may not have
			if err := (eventually{deed(func(s *stage) error {
				who, err := r.once(s, q[turn%len(q)], backend)
				if who != "" && who != backend && who != r.except {
					over = errors.Join(over, fmt.Errorf("turn %d: %s was full, and took one", turn, who))
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

// once asks for a connection with the backend, and keeps that. It gives who answered, if anyone.
func (r refill) once(s *stage, q question, backend string) (string, error) {
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

// asOnce asks once as one client.
type asOnce struct{ client, to, meets string }

func (a asOnce) do(s *stage) error {
	q := s.questions("", "tcp", a.to)[0]
	answer, err := q.ask(netip.AddrPortFrom(netip.MustParseAddr(a.client), s.speaker(s.Client, q.to.Addr()).Port()))
	if err == nil && answer.Backend != a.meets {
		err = fmt.Errorf("%s answered, want %s", answer.Backend, a.meets)
	}
	return q.blame(err)
}
