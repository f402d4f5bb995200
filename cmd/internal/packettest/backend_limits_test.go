package packettest

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"
)

// TestFullBackends: backends have as many connections at once as they may have, and not one more or less.
func TestFullBackends(t *testing.T) {
	t.Parallel()
	all := []scene{}
	for _, mode := range []string{"snat", "dnat"} {
		for _, scheduler := range []string{"random", "round-robin", "hash", "symmetric-hash", "maglev"} {
			all = append(all, scene{name: mode + "-" + scheduler, steps: steps{
				farms{"web": bounded(fmt.Sprintf("mode = %q\nscheduler = %q", mode, scheduler), listenBoth, "4", "3", "")},
				fill{by: "udp", to: both, more: 2},
				fill{by: "tcp", to: both, until: shares{"b1": 4, "b2": 3}},
				refill{by: "tcp", to: both, turns: 8},
			}})
		}
	}
	play(t, append(all, []scene{
		// the third takes what the others can't
		{name: "one-without-limit", steps: steps{
			farms{"web": bounded("", listenBoth, "2", "1", "[backends.b3]\naddress = ['10.2.0.13', 'fd00:2::13']\n")},
			fill{by: "tcp", to: both, more: 30, until: shares{"b1": 2, "b2": 1, "b3": 27}},
			refill{by: "tcp", to: both, turns: 6, except: "b3"},
		}},
		{name: "range", steps: steps{
			farms{"web": bounded("", `"192.0.2.1:8000-8100/tcp,udp", "[2001:db8::1]:80,443/tcp,udp"`, "2", "2", "")},
			fill{by: "udp", to: "192.0.2.1:8000", more: 1},
			fill{by: "tcp", to: "192.0.2.1:8050 [2001:db8::1]:80 192.0.2.1:8000 [2001:db8::1]:443", until: shares{"b1": 2, "b2": 2}},
			refill{by: "tcp", to: "192.0.2.1:8050 [2001:db8::1]:80", turns: 6},
		}},
		{name: "whole-address", steps: steps{
			farms{"web": bounded("", `"192.0.2.1", "2001:db8::1"`, "2", "3", "")},
			fill{by: "udp", to: both, more: 1},
			fill{by: "tcp", to: both, until: shares{"b1": 2, "b2": 3}},
			refill{by: "tcp", to: both, turns: 6},
		}},
		{name: "any-address-and-local-clients", steps: steps{
			farms{"web": bounded("local-clients = true", `"*:80/tcp,udp"`, "2", "3", "")},
			fill{by: "tcp", to: both, until: shares{"b1": 2, "b2": 3}},
			refill{from: "balancer", by: "tcp", to: both, turns: 6},
		}},
		// counts outlive a load, and so does the limit of a backend that is drained meanwhile
		{name: "reload", steps: steps{
			farms{"web": bounded("", listenBoth, "4", "3", "")},
			fill{by: "tcp udp", to: both, until: shares{"b1": 4, "b2": 3}},
			farms{"web": bounded("", listenBoth, "4", "3", ""), "mail": one("dnat", `"192.0.2.2:80"`, "b3", 0)},
			refused{by: "tcp udp", to: both},
			farms{"web": bounded("scheduler = 'hash'", listenBoth, "4", "3\nweight = 7", "")},
			refused{by: "tcp udp", to: both},
			farms{"web": bounded("", listenBoth, "4\nstate = 'drain'", "3", "")},
			refused{by: "tcp udp", to: both},
			farms{"web": bounded("", listenBoth, "4", "3", "")},
			refused{by: "tcp udp", to: both}, echo{},
			// where a limit is changed the count begins anew, but for the other backend
			farms{"web": bounded("", listenBoth, "5", "3", "")},
			fill{by: "tcp udp", to: both, until: shares{"b1": 9, "b2": 3}},
			// without its limit a full backend takes what comes
			farms{"web": strings.Replace(bounded("", listenBoth, "4", "3", ""), "connections = 4", "", 1)},
			eventually{ask{by: "tcp udp", to: both, shares: shares{"b1:80": 1}, sees: "balancer"}},
		}},
		// of two farms with the same backends each counts its own
		{name: "two-farms", steps: steps{
			farms{"web": bounded("", listenBoth, "2", "3", ""), "mail": bounded("", `"192.0.2.2:80/tcp", "[2001:db8::2]:80/tcp"`, "1", "1", "")},
			fill{by: "tcp", to: both, until: shares{"b1": 2, "b2": 3}},
			fill{by: "tcp", to: "192.0.2.2:80 [2001:db8::2]:80", until: shares{"b1": 3, "b2": 4}},
		}},
		// backends of a level that isn't needed take none
		{name: "priority", steps: steps{
			farms{"web": bounded("", listenBoth, "2", "3", "[backends.b3]\naddress = ['10.2.0.13', 'fd00:2::13']\npriority = 2\n")},
			fill{by: "tcp udp", to: both, until: shares{"b1": 2, "b2": 3}},
		}},
		// a known client goes elsewhere while its backend is full, and back afterwards
		{name: "persistence", steps: steps{
			farms{"web": bounded("", listenBoth, "2", "3", "[persistence]\n")},
			known(map[string]string{"198.51.100.9": "10.2.0.11", "2001:db8:c::9": "100::a02:b"}),
			asOnce{"198.51.100.9", "192.0.2.1:80", "b1"}, asOnce{"2001:db8:c::9", "[2001:db8::1]:80", "b1"},
			eventually{fill{by: "tcp", to: both, until: shares{"b1": 2, "b2": 3}}},
			deed(func(s *stage) error { return s.hangUp("b2") }),
			eventually{asOnce{"198.51.100.9", "192.0.2.1:80", "b2"}}, eventually{asOnce{"2001:db8:c::9", "[2001:db8::1]:80", "b2"}},
			deed(func(s *stage) error { return s.hangUp("b1") }),
			eventually{asOnce{"198.51.100.9", "192.0.2.1:80", "b1"}}, eventually{asOnce{"2001:db8:c::9", "[2001:db8::1]:80", "b1"}},
		}},
	}...))
}

func bounded(farm, listen, b1, b2, more string) string {
	return fmt.Sprintf(`
		%s
		listen = [%s]
		[backends.b1]
		address     = ["10.2.0.11", "fd00:2::11"]
		connections = %s
		[backends.b2]
		address     = ["10.2.0.12", "fd00:2::12"]
		connections = %s
		%s
	`, farm, listen, b1, b2, more)
}

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
