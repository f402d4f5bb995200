package packettest

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"farmc/cmd/internal/netlab"
)

// A request is sent to each address over each protocol. It says which backends have to answer.
type request struct {
	from        string // the machine that sends it; the client if empty
	mark        int    // of the sender's sockets; 0: none
	as          string // source addresses, one of each family; any of the client's if empty
	by, to      string // "tcp udp", "192.0.2.1:80 [2001:db8::1]:80"
	shares      shares
	times       int    // the number of requests; if zero, enough to tell shares apart
	inTurn      bool   // backends answer strictly in turn
	interleaved bool   // one request to each target, then the next to each; with inTurn
	sees        string // the source at the backend: "" is the sender, else a machine, or one address of each family
}

// shares are weights of answering backends, by name and port, as in "b1:8081".
type shares map[string]int

// significance is the probability below which a distribution is taken as wrong. One correct distribution in a million
// is below it. With some 150 samples in these tests, one run in 7,000 raises a false alarm.
//
// Of 160 connections with weights 3 to 1, the first backend may get 94 to 146. With equal weights it gets as many with
// a probability of 2 %, at each of the two to four targets of a case. Of 400 it may get 258 to 342: with equal weights
// once in 10^8 runs. largeSample is for the cases whose topic are weights.
const (
	significance = 1e-6
	sampleSize   = 160
	largeSample  = 400
)

func (a request) do(s *testbed) (err error) {
	if a.interleaved {
		return a.checkAllTurns(s, s.targets(a.from, a.by, a.to)...)
	}
	for _, q := range s.targets(a.from, a.by, a.to) {
		try := a.checkShares
		if a.inTurn {
			try = a.checkTurns
		}
		err = errors.Join(err, q.wrap(try(s, q)))
	}
	return err
}

func (a request) checkShares(s *testbed, q target) error {
	n := a.times
	switch {
	case n > 0:
	case len(a.shares) == 1:
		n = 4
	default:
		n = sampleSize
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
	if p := netlab.Fits(counts, want); p < significance {
		return fmt.Errorf("%v answered, want %v: p = %.2g", counts, want, p)
	}
	return nil
}

// checkTurns sends one request after the other. Each run of answers as long as the sum of the weights has to follow
// the weights.
func (a request) checkTurns(s *testbed, q target) error { return a.checkAllTurns(s, q) }

// checkAllTurns sends one request to each target, again and again. The answers of each target have to be in turn.
func (a request) checkAllTurns(s *testbed, questions ...target) error {
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
			if !maps.Equal(tally(answers[begin:begin+round]), a.shares) {
				return fmt.Errorf("%v answered, want %v in turn", answers, a.shares)
			}
		}
	}
	return nil
}

func tally(answers []string) shares {
	counts := shares{}
	for _, a := range answers {
		counts[a]++
	}
	return counts
}

// once sends a request from a new source port and returns the name and port of the backend. The backend has to be
// reached at its own address, or at the service's on the balancer, and has to see the expected source.
func (a request) once(s *testbed, q target) (string, error) {
	as := s.newClientAs(q.from, q.to.Addr(), a.as)
	if a.mark != 0 {
		q.from = q.from.Marked(a.mark)
	}
	answer, err := q.request(as)
	if err != nil {
		return "", fmt.Errorf("as %s: %w", as, err)
	}
	if want := s.reachedAt(answer.Backend, q.to.Addr()); !slices.Contains(want, answer.Local.Addr()) {
		return "", fmt.Errorf("%s is reached at %s, want one of %v", answer.Backend, answer.Local, want)
	}
	if want := a.wantPeer(s, q, as); answer.Peer.Addr() != want {
		return "", fmt.Errorf("%s sees %s, want %s", answer.Backend, answer.Peer, want)
	}
	return fmt.Sprintf("%s:%d", answer.Backend, answer.Local.Port()), nil
}

func (s *testbed) reachedAt(name string, asked netip.Addr) []netip.Addr {
	own := []netip.Addr{address(s.machine(name), asked)}
	if name == "balancer" {
		own = append(own, asked)
	}
	return own
}

// wantPeer is the source address that the backend has to see.
func (a request) wantPeer(s *testbed, q target, as netip.AddrPort) netip.Addr {
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

// pings sends ICMP echoes from different clients, which backends answer by their shares.
type pings struct {
	from, to string
	shares   shares // by the names of machines
}

func (p pings) do(s *testbed) error {
	from := s.Client
	if p.from != "" {
		from = s.machine(p.from)
	}
	for _, to := range strings.Fields(p.to) {
		at := netip.MustParseAddr(to)
		n := 4 // one backend answers all
		if len(p.shares) > 1 {
			n = len(p.shares) * 100
		}
		counts, err := netlab.Spread(n, func(int) (netlab.Answer, error) {
			return from.Ping(s.newClient(from, at).Addr(), at, answerTimeout)
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

// notInTurn expects some backend to answer twice in a row. Two backends alternate 30 times by chance with a
// probability of 2^-29.
type notInTurn struct{ by, to string }

func (n notInTurn) do(s *testbed) error {
	for _, q := range s.targets("", n.by, n.to) {
		last, twice := "", false
		for range 30 {
			answer, err := q.request(s.newClient(q.from, q.to.Addr()))
			if err != nil {
				return q.wrap(err)
			}
			twice = twice || answer.Backend == last
			last = answer.Backend
		}
		if !twice {
			return q.wrap(errors.New("backends take turns"))
		}
	}
	return nil
}
