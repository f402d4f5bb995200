package packettest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"farmc/cmd/internal/netlab"
)

// unansweredMoves: clients open connections to b1, which drops their SYNs. Then b1 gets the line of its state, or is
// removed if the line is empty, and b2 serves: the repeated SYN reaches b2.
func unansweredMoves(mode, line string) testCase {
	name, after := "cut-unanswered-of-removed-"+mode, oneBackend(mode, listen1, "b2", 8082)
	if line != "" {
		name = "cut-unanswered-of-drained-" + mode
		after += "[backends.b1]\naddress = ['10.2.0.11', 'fd00:2::11']\nport = 8081\n" + line + "\n"
	}
	return testCase{name: name, steps: steps{
		farms{"web": oneBackend(mode, listen1, "b1", 8081)},
		unanswered{to: service1, then: farms{"web": after}, with: "b2:8082"},
	}}
}

// unanswered opens connections while backend b1 drops SYNs, does a step meanwhile, and checks the server that answers.
type unanswered struct {
	to   string
	then step
	with string
}

// retransmitTimeout covers the first repetitions of a SYN, after 1 and 3 seconds.
const retransmitTimeout = 8 * time.Second

func (u unanswered) do(s *testbed) error {
	_, err := s.machine("b1").Run(context.Background(), `table inet deaf {
		chain input { type filter hook input priority 0; tcp dport 8081 tcp flags syn drop; }
	}`, "nft", "-f", "-")
	if err != nil {
		return err
	}
	targets := s.targets("", "tcp", u.to)
	answers := make(chan error, len(targets))
	for _, q := range targets {
		as := s.newClient(q.from, q.to.Addr())
		go func() {
			answer, err := q.from.Ask(q.network, as.Addr(), q.to, retransmitTimeout)
			answers <- u.check(answer, err)
		}()
	}
	time.Sleep(300 * time.Millisecond) // the first SYNs are on their way
	err = u.then.do(s)
	for range targets {
		err = errors.Join(err, <-answers)
	}
	return err
}

func (u unanswered) check(answer netlab.Answer, err error) error {
	if got := fmt.Sprintf("%s:%d", answer.Backend, answer.Local.Port()); err == nil && got != u.with {
		return fmt.Errorf("%s answered, want %s", got, u.with)
	}
	return err
}

// openConnections: status soon counts so many open connections of farm web: the last segments of an answer can be on
// their way. Connections in TIME_WAIT are closed.
func openConnections(want int) step {
	return stepFunc(func(s *testbed) error {
		for end := deadline(); ; {
			f, err := s.status("web")
			if err != nil {
				return err
			}
			got := f.Backends[0].Open
			if got != nil && *got == want {
				return nil
			}
			if end.over() {
				return fmt.Errorf("open: got %s, want %d", numberWords(got), want)
			}
		}
	})
}

// numberWords writes a number that may not be known.
func numberWords(n *int) string {
	if n == nil {
		return "none"
	}
	return fmt.Sprint(*n)
}
