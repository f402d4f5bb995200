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

// endingWith loads farms, and is told to end as soon as the kernel holds them.
type endingWith struct{ farms }

func (e endingWith) do(s *stage) error {
	kept, err := s.engine.Store.Loaded()
	if err != nil {
		return err
	}
	before := s.ctx
	defer func() { s.ctx = before }()
	s.ctx = endOf{s.ctx, kept.Digest}
	return e.farms.do(s)
}

// An endOf is a context that is done once the kernel holds other farms than these.
type endOf struct {
	context.Context
	digest string
}

func (endOf) Done() <-chan struct{} { return nil } // who hears of it stops nft, perhaps too early

func (e endOf) Err() error {
	if holds, err := (nft.Nft{}).Loaded(e.Context); err == nil && holds != e.digest {
		return context.Canceled
	}
	return e.Context.Err()
}

// A talk is a connection that stays open, and who answered it.
type talking struct {
	connection
	with string
}

// chat opens connections, 24 for each protocol and address, and hears who answers.
type chat struct{ by, to string }

func (t chat) do(s *stage) error {
	for _, q := range s.questions("", t.by, t.to) {
		for range 24 {
			c, err := q.dial(s.speaker(q.from, q.to.Addr()))
			if err != nil {
				return q.blame(err)
			}
			to := talking{connection: connection{c, q}}
			if to.with, err = to.greeted(); err != nil {
				return q.blame(err)
			}
			s.talks = append(s.talks, &to)
		}
	}
	return nil
}

// greeted says who answers a new TCP connection, or a datagram.
func (t *talking) greeted() (string, error) {
	if t.udp() {
		if _, err := t.Write([]byte("who?")); err != nil {
			return "", err
		}
	}
	answer, err := netlab.ReadAnswer(t)
	return answer.Backend, err
}

// nobody answers where a connection is refused.
const nobody = "nobody"

// then says who answers those that talked with somebody: by default whom they talked with. They talk with them from
// then on; those that are refused are forgotten.
type then struct{ by, with, answers string }

func (t then) do(s *stage) error {
	asked := 0
	for _, c := range slices.Clone(s.talks) {
		if !slices.Contains(strings.Fields(t.with), c.with) || !slices.Contains(strings.Fields(t.by), c.network[:3]) {
			continue
		}
		asked++
		want := t.answers
		if want == "" {
			want = c.with
		}
		was := c.with
		if err := c.again(); err != nil {
			c.with = nobody
			if netlab.TimedOut(err) {
				return c.blame(fmt.Errorf("who talked with %s is not refused: %w", was, err))
			}
		}
		if c.with != want {
			return c.blame(fmt.Errorf("who talked with %s is answered by %s, want %s", was, c.with, want))
		}
	}
	s.talks = slices.DeleteFunc(s.talks, func(c *talking) bool { return c.with == nobody })
	if asked == 0 {
		return errors.New("nobody talks with " + t.with)
	}
	return nil
}

// again carries something there and back; by UDP it tells who answers.
func (t *talking) again() (err error) {
	if err := t.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if t.udp() {
		t.with, err = t.greeted()
		return err
	}
	return t.echo([]byte("still there?"))
}
