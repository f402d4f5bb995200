package packettest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"farmc/cmd/internal/netlab"
	"farmc/cmd/internal/nft"
)

// interruptedLoad loads farms with a context that is cancelled as soon as the kernel has them.
type interruptedLoad struct{ farms }

func (e interruptedLoad) do(s *testbed) error {
	kept, err := s.engine.Store.Loaded()
	if err != nil {
		return err
	}
	before := s.ctx
	defer func() { s.ctx = before }()
	s.ctx = contextUntilLoaded{s.ctx, kept.Digest}
	return e.farms.do(s)
}

// A contextUntilLoaded is done once the kernel has other farms than the digest says.
type contextUntilLoaded struct {
	context.Context
	digest string
}

// Done gives no channel: a closed one would stop nft, perhaps before the load
func (contextUntilLoaded) Done() <-chan struct{} { return nil }

func (e contextUntilLoaded) Err() error {
	if holds, err := (nft.Nft{}).Loaded(e.Context); err == nil && holds != e.digest {
		return context.Canceled
	}
	return e.Context.Err()
}

// A conversation is an open connection with the name of its backend.
type conversation struct {
	connection
	with string
}

// converse opens 24 connections for each protocol and address, and notes the answering backends.
type converse struct{ by, to string }

func (t converse) do(s *testbed) error { return converseFrom{"client", 0, t}.do(s) }

// converseFrom is converse from another machine.
type converseFrom struct {
	from string
	mark int // of its sockets; 0: none
	converse
}

func (t converseFrom) do(s *testbed) error {
	for _, q := range s.targets(t.from, t.by, t.to) {
		for range 24 {
			as := s.newClient(q.from, q.to.Addr())
			if t.mark != 0 {
				q.from = q.from.Marked(t.mark)
			}
			c, err := q.dial(as)
			if err != nil {
				return q.wrap(err)
			}
			to := conversation{connection: connection{c, q}}
			if to.with, err = to.greeted(); err != nil {
				return q.wrap(err)
			}
			s.conversations = append(s.conversations, &to)
		}
	}
	return nil
}

// greeted returns the name of the machine that answers a new TCP connection, or a datagram.
func (t *conversation) greeted() (string, error) {
	if t.udp() {
		if _, err := t.Write([]byte("who?")); err != nil {
			return "", err
		}
	}
	answer, err := netlab.ReadAnswer(t)
	return answer.Backend, err
}

// noBackend stands for a refused connection.
const noBackend = "no backend"

// continued: conversations with these backends go on, by default with the same backend. Later steps expect the backend
// that answers now. Refused conversations are forgotten.
type continued struct{ by, with, answers string }

func (t continued) do(s *testbed) error {
	asked := 0
	for _, c := range slices.Clone(s.conversations) {
		if !slices.Contains(strings.Fields(t.with), c.with) || !slices.Contains(strings.Fields(t.by), c.network[:3]) {
			continue
		}
		asked++
		want := t.answers
		if want == "" {
			want = c.with
		}
		was := c.with
		if err := c.resume(); err != nil {
			c.with = noBackend
			if netlab.TimedOut(err) {
				return c.wrap(fmt.Errorf("conversation with %s is not refused: %w", was, err))
			}
		}
		if c.with != want {
			return c.wrap(fmt.Errorf("conversation with %s: %s answers, want %s", was, c.with, want))
		}
	}
	s.conversations = slices.DeleteFunc(s.conversations, func(c *conversation) bool { return c.with == noBackend })
	if asked == 0 {
		return errors.New("there is no conversation with " + t.with)
	}
	return nil
}

// resume sends data and waits for it; over UDP it also notes the answering backend.
func (t *conversation) resume() (err error) {
	if err := t.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	if t.udp() {
		t.with, err = t.greeted()
		return err
	}
	return t.echo([]byte("still there?"))
}
