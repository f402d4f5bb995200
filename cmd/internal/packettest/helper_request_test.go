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

	"farmc/cmd/internal/netlab"
)

// An ask has a machine ask services, each by each protocol, and says who has to answer.
type ask struct {
	from   string // whose machine asks; the client's if empty
	as     string // the client's addresses, one of each family; any of its own if empty
	by, to string // "tcp udp", "192.0.2.1:80 [2001:db8::1]:80"
	shares shares
	times  int    // how often; enough to tell shares apart if zero
	turns  bool   // in turn, exactly, and not only in the long run
	beside bool   // of each protocol and address once, then the next time; with turns
	sees   string // whom the backend sees: "" is who asks, else the name of a machine or one address of each family
}

// shares are who answers at which port, as "b1:8081", by weight.
type shares map[string]int

// certainty is the probability below which a spread is held to be wrong. Of right ones one in a million is, so with
// some 150 draws in these tests one run in 7,000 raises a false alarm. Of 400 connections by weights of 3 to 1 the
// greater may have 258 to 342; by equal weights it has as many once in 10^8 times.
const (
	certainty   = 1e-6
	connections = 400
)

func (a ask) do(s *stage) (err error) {
	if a.beside {
		return a.allInTurn(s, s.questions(a.from, a.by, a.to)...)
	}
	for _, q := range s.questions(a.from, a.by, a.to) {
		try := a.spread
		if a.turns {
			try = a.inTurn
		}
		err = errors.Join(err, q.blame(try(s, q)))
	}
	return err
}

func (a ask) spread(s *stage, q question) error {
	n := a.times
	switch {
	case n > 0:
	case len(a.shares) == 1:
		n = 4
	default:
		n = connections
	}
	counts, err := netlab.Spread(n, func(int) (netlab.Answer, error) {
		who, err := a.once(s, q)
		return netlab.Answer{Backend: who}, err
	})
	if err != nil {
		return err
	}
	return a.shares.fit(counts)
}

// fit compares counts with the shares.
func (want shares) fit(counts map[string]int) error {
	if p := netlab.Fits(counts, want); p < certainty {
		return fmt.Errorf("%v answered, want %v: p = %.2g", counts, want, p)
	}
	return nil
}

// inTurn asks one after the other: as many successive answers as the weights sum up to are by the weights.
func (a ask) inTurn(s *stage, q question) error { return a.allInTurn(s, q) }

// allInTurn asks each question once, and all of them again: the answers to each are in turn.
func (a ask) allInTurn(s *stage, questions ...question) error {
	round := 0
	for _, weight := range a.shares {
		round += weight
	}
	answers := make([][]string, len(questions))
	for range 5 * round {
		for i, q := range questions {
			who, err := a.once(s, q)
			if err != nil {
				return err
			}
			answers[i] = append(answers[i], who)
		}
	}
	for _, answers := range answers {
		for begin := range len(answers) - round + 1 {
			if !maps.Equal(count(answers[begin:begin+round]), a.shares) {
				return fmt.Errorf("%v answered, want %v in turn", answers, a.shares)
			}
		}
	}
	return nil
}

func count(answers []string) shares {
	counts := shares{}
	for _, a := range answers {
		counts[a]++
	}
	return counts
}

// once asks as somebody new, and says who answered and at which port. Each single answer has to come from where the
// machine was reached by its own address, or by the one that was asked, and has to have seen whom it should.
func (a ask) once(s *stage, q question) (string, error) {
	as := s.speakerAs(q.from, q.to.Addr(), a.as)
	answer, err := q.ask(as)
	if err != nil {
		return "", fmt.Errorf("as %s: %w", as, err)
	}
	if want := s.reachedAt(answer.Backend, q.to.Addr()); !slices.Contains(want, answer.Local.Addr()) {
		return "", fmt.Errorf("%s was reached at %s, want one of %v", answer.Backend, answer.Local, want)
	}
	if want := a.seen(s, q, as); answer.Peer.Addr() != want {
		return "", fmt.Errorf("%s sees %s, want %s", answer.Backend, answer.Peer, want)
	}
	return fmt.Sprintf("%s:%d", answer.Backend, answer.Local.Port()), nil
}

func (s *stage) reachedAt(name string, asked netip.Addr) []netip.Addr {
	own := []netip.Addr{address(s.machine(name), asked)}
	if name == "balancer" {
		own = append(own, asked)
	}
	return own
}

// seen is the address that the backend has to see.
func (a ask) seen(s *stage, q question, as netip.AddrPort) netip.Addr {
	for _, word := range strings.Fields(a.sees) {
		seen, err := netip.ParseAddr(word)
		if err != nil {
			return address(s.machine(word), q.to.Addr())
		}
		if seen.Is6() == q.to.Addr().Is6() {
			return seen
		}
	}
	if as.Addr().IsValid() {
		return as.Addr()
	}
	return address(q.from, q.to.Addr())
}

// A question is who is asked, by whom, and how.
type question struct {
	from    *netlab.Host
	network string // tcp4, udp4, tcp6, udp6
	to      netip.AddrPort
}

// questions are one for each protocol and address.
func (s *stage) questions(from, protocols, to string) (all []question) {
	if from == "" {
		from = "client"
	}
	for _, to := range strings.Fields(to) {
		at := netip.MustParseAddrPort(to)
		for _, protocol := range strings.Fields(protocols) {
			all = append(all, question{s.machine(from), protocol + family(at.Addr()), at})
		}
	}
	return all
}

func family(a netip.Addr) string {
	if a.Is6() {
		return "6"
	}
	return "4"
}

func (q question) udp() bool { return strings.HasPrefix(q.network, "udp") }

// blame says of an error what was asked.
func (q question) blame(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s asks %s %s: %w", q.from.Name, q.network, q.to, err)
}

// ask asks as somebody.
func (q question) ask(as netip.AddrPort) (netlab.Answer, error) {
	c, err := q.dial(as)
	if err != nil {
		return netlab.Answer{}, err
	}
	defer c.Close()
	if q.udp() {
		if _, err := c.Write([]byte("who?")); err != nil {
			return netlab.Answer{}, err
		}
	}
	return netlab.ReadAnswer(c)
}

// patience is how long an answer may take. It only ever passes where something is wrong.
const patience = time.Minute

func (q question) dial(as netip.AddrPort) (net.Conn, error) {
	c, err := q.from.Dial(q.network, as, q.to, patience)
	if err != nil {
		return nil, err
	}
	return c, c.SetDeadline(time.Now().Add(patience))
}

// A limit ends what is tried again and again.
type limit time.Time

func deadline() limit { return limit(time.Now().Add(2 * patience)) } // so that it is tried more than once

// over waits a moment, and says whether it was the last.
func (l limit) over() bool {
	time.Sleep(time.Millisecond)
	return time.Now().After(time.Time(l))
}

// pings asks by ICMP echo, as different clients, who has to answer.
type pings struct {
	from, to string
	shares   shares // by the names of machines
}

func (p pings) do(s *stage) error {
	from := s.Client
	if p.from != "" {
		from = s.machine(p.from)
	}
	for _, to := range strings.Fields(p.to) {
		at := netip.MustParseAddr(to)
		counts, err := netlab.Spread(len(p.shares)*100, func(int) (netlab.Answer, error) {
			return from.Ping(s.speaker(from, at).Addr(), at, patience)
		})
		if err == nil {
			err = p.shares.fit(counts)
		}
		if err != nil {
			return fmt.Errorf("ping %s: %w", to, err)
		}
	}
	return nil
}

// notInTurn asks one after the other, and expects some backend twice in a row: that two take turns 30 times by chance
// has a probability of 2^-29.
type notInTurn struct{ by, to string }

func (n notInTurn) do(s *stage) error {
	for _, q := range s.questions("", n.by, n.to) {
		last, twice := "", false
		for range 30 {
			answer, err := q.ask(s.speaker(q.from, q.to.Addr()))
			if err != nil {
				return q.blame(err)
			}
			twice = twice || answer.Backend == last
			last = answer.Backend
		}
		if !twice {
			return q.blame(errors.New("backends take turns"))
		}
	}
	return nil
}
