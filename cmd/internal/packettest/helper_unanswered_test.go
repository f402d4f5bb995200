package packettest

import (
	"bytes"
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

// unansweredInitMoves: b1 does not answer INITs of SCTP, and is removed. A repeated INIT of the same port
// reaches b2.
func unansweredInitMoves(mode string) testCase {
	const listen = `"192.0.2.1:3868/sctp", "[2001:db8::1]:3868/sctp"`
	return testCase{name: "cut-unanswered-init-" + mode, steps: steps{
		muteKernels,
		farms{"phone": oneBackend(mode, listen, "b1", 0)},
		stepFunc(func(s *testbed) error {
			taps, err := s.backendTaps()
			if err != nil {
				return err
			}
			inits := s.inits(service1)
			return errors.Join(s.reach(taps["b1"], inits),
				farms{"phone": oneBackend(mode, listen, "b2", 0)}.do(s), s.reach(taps["b2"], inits))
		}),
	}}
}

// inits are INITs of new clients to port 3868 of the addresses.
func (s *testbed) inits(to string) (packets [][]byte) {
	for _, q := range s.targets("", "tcp", to) {
		as := s.newClient(q.from, q.to.Addr())
		packets = append(packets, netlab.Packet(as.Addr(), q.to.Addr(), protocolSCTP,
			netlab.SCTPInit(as.Port(), 3868)))
	}
	return packets
}

// reach sends packets, and checks that each arrives: NAT keeps the INIT behind the header.
func (s *testbed) reach(tap *netlab.Tap, packets [][]byte) error {
	for _, packet := range packets {
		if err := s.Client.SendPacket(packet); err != nil {
			return err
		}
		if _, err := tap.Next(retransmitTimeout, func(got []byte) bool {
			return got[0]>>4 == packet[0]>>4 && protocolOf(got) == protocolSCTP &&
				bytes.HasSuffix(got, packet[len(packet)-20:])
		}); err != nil {
			return fmt.Errorf("an INIT does not arrive: %w", err)
		}
	}
	return nil
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
