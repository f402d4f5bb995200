package packettest

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"farmc/cmd/internal/netlab"
)

// TestReplyGuard: while a balancer has lost its rules, the guard drops replies to requests that came by another
// balancer, and nothing else. No connection is reset, and all go on once the rules are back.
func TestReplyGuard(t *testing.T) {
	t.Parallel()
	var all []testCase
	for _, p := range []statelessPath{statelessPaths[1], statelessPaths[3]} {
		farm := p.stateless(listen1, `scheduler = "maglev"`, "b1:8081", "b2:8082")
		all = append(all, testCase{name: p.name, lab: netlab.Options{OneArmed: true, Pair: true}, steps: steps{
			returnByBalancer,
			farms{"web": farm},
			onSecond{farms{"web": farm}},
			converse{by: "tcp udp", to: service1},
			stepFunc(func(s *testbed) error {
				return addRoutes(s.Client, "10.2.0.2 fd00:2::2", "192.0.2.0/24 2001:db8::/64")
			}),
			continued{by: "tcp udp", with: "b1"},
			continued{by: "tcp udp", with: "b2"},
			nftScript("flush ruleset\n"),
			stepFunc((*testbed).guardReplies),
			stepFunc((*testbed).conversationsAreSilent),
			stepFunc((*testbed).backendsAnswer),
			farms{"web": farm},
			continued{by: "tcp udp", with: "b1"},
			continued{by: "tcp udp", with: "b2"},
		}})
	}
	runCases(t, all)
}

// guardReplies loads the guard, as farmc watch does.
func (s *testbed) guardReplies() error {
	return s.Balancer.Do(func() error { return s.engine.GuardReplies(s.ctx) })
}

// conversationsAreSilent: no conversation gets an answer, and none is reset.
func (s *testbed) conversationsAreSilent() error {
	for _, c := range s.conversations {
		text := "still there?"
		if c.udp() {
			text = "who?"
		}
		if _, err := c.Write([]byte(text)); err != nil {
			return c.wrap(err)
		}
	}
	deadline := time.Now().Add(time.Second)
	for _, c := range s.conversations {
		if err := c.SetDeadline(deadline); err != nil {
			return err
		}
		if n, err := c.Read(make([]byte, 100)); !netlab.TimedOut(err) {
			return c.wrap(fmt.Errorf("got %d bytes and %w, want silence", n, err))
		}
	}
	return nil
}

// backendsAnswer: answers of backends that come from other ports than the farm's, and pings, pass the balancer.
func (s *testbed) backendsAnswer() error {
	for _, word := range []string{"10.2.0.11", "fd00:2::11"} {
		to := netip.MustParseAddr(word)
		for _, network := range []string{"tcp", "udp"} {
			q := target{s.Client, network + family(to), netip.AddrPortFrom(to, 8082)}
			if _, err := q.request(s.newClient(s.Client, to)); err != nil {
				return q.wrap(err)
			}
		}
		if _, err := s.Client.Ping(s.newClient(s.Client, to).Addr(), to, answerTimeout); err != nil {
			return err
		}
	}
	return nil
}
