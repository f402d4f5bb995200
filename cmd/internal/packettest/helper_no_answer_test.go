package packettest

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"farmc/cmd/internal/netlab"
)

// noAnswerTimeout is the time to wait for an answer that must not come.
const noAnswerTimeout = 300 * time.Millisecond

// noAnswer: services neither answer nor refuse.
type noAnswer struct{ by, to string }

func (c noAnswer) do(s *testbed) (err error) {
	for _, q := range s.targets("", c.by, c.to) {
		err = errors.Join(err, q.unanswered(s.newClient(q.from, q.to.Addr())))
	}
	return err
}

// unanswered sends a request that must get no answer.
func (q target) unanswered(as netip.AddrPort) error {
	answer, err := q.from.Ask(q.network, as.Addr(), q.to, noAnswerTimeout)
	if err == nil || !netlab.TimedOut(err) {
		return q.wrap(fmt.Errorf("as %s: %v, %w", as, answer, err))
	}
	return nil
}

func noPingAnswer(to string) step {
	return stepFunc(func(s *testbed) error {
		for _, a := range strings.Fields(to) {
			at := netip.MustParseAddr(a)
			answer, err := s.Client.Ping(s.newClient(s.Client, at).Addr(), at, noAnswerTimeout)
			if !netlab.TimedOut(err) {
				return fmt.Errorf("ping %s: %v, %w", at, answer, err)
			}
		}
		return nil
	})
}

// lostDatagrams get no answer.
type lostDatagrams struct {
	to   string
	size int
}

func (l lostDatagrams) do(s *testbed) error {
	for _, q := range s.targets("", "udp", l.to) {
		c, err := q.dial(s.newClient(q.from, q.to.Addr()))
		if err == nil {
			_, err = c.Write(make([]byte, l.size))
			err = errors.Join(err, c.SetDeadline(time.Now().Add(noAnswerTimeout)))
		}
		if err != nil {
			return q.wrap(err)
		}
		defer c.Close()
		if answer, err := netlab.ReadAnswer(c); err == nil || !netlab.TimedOut(err) {
			return q.wrap(fmt.Errorf("%v, %w", answer, err))
		}
	}
	return nil
}
