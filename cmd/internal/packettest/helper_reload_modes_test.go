package packettest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
)

// switches goes through the modes, and back.
func switches(farm func(mode string) string, further ...string) step {
	modes := append([]string{"snat", "dnat", "dsr", "stateless"}, further...)
	for i := len(modes) - 2; i >= 0; i-- {
		modes = append(modes, modes[i])
	}
	return deed(func(s *stage) error {
		if err := (farms{"web": farm("snat")}).do(s); err != nil {
			return err
		}
		before := s.clientele()
		for _, mode := range modes {
			before.excuse() // from now on a connection may break
			if err := (farms{"web": farm(mode)}).do(s); err != nil {
				return errors.Join(err, before.leave())
			}
			now := s.clientele()
			if err := before.leave(); err != nil {
				return errors.Join(err, now.leave())
			}
			now.await()
			if err := now.failure(); err != nil {
				return errors.Join(fmt.Errorf("after the switch to %s: %w", mode, err), now.leave())
			}
			if err := s.switched(mode); err != nil {
				return errors.Join(err, now.leave())
			}
			before = now
		}
		return before.leave()
	})
}

// switched: what backends see tells the mode.
func (s *stage) switched(mode string) (err error) {
	for _, q := range s.questions("", "tcp udp", both) {
		as := s.speaker(q.from, q.to.Addr())
		answer, asked := q.ask(as)
		if err = errors.Join(err, q.blame(asked)); asked != nil {
			continue
		}
		if (answer.Peer == as) != (mode != "snat") || (answer.Local == q.to) != (mode == "dsr") {
			err = errors.Join(err, q.blame(fmt.Errorf("in mode %s: as %s: %v", mode, as, answer)))
		}
	}
	return err
}

// A clientele opens connections all the time.
type clientele struct {
	ctx    context.Context
	cancel context.CancelFunc
	busy   sync.WaitGroup
	enough chan struct{} // closed when there were so many connections

	mu      sync.Mutex
	served  int
	first   error // that was not excused
	excused bool
}

func (s *stage) clientele() *clientele {
	c := &clientele{enough: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	for _, q := range s.questions("", "tcp udp", both) {
		for range 3 {
			c.busy.Go(func() {
				for c.ctx.Err() == nil {
					c.note(q.blame(c.converse(q, s.speaker(q.from, q.to.Addr()))))
				}
			})
		}
	}
	return c
}

// converse opens a connection and says something, twice.
func (c *clientele) converse(q question, as netip.AddrPort) error {
	conn, err := q.dial(as)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(c.ctx, func() { conn.Close() })()
	return errors.Join(connection{conn, q}.echo([]byte("one")), connection{conn, q}.echo([]byte("another")))
}

func (c *clientele) note(err error) {
	const many = 200
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.served++
	case !c.excused && c.first == nil:
		c.first = err
	}
	if c.served == many || c.first != nil {
		select {
		case <-c.enough:
		default:
			close(c.enough)
		}
	}
}

func (c *clientele) await() { <-c.enough }

// excuse forgives what fails from now on.
func (c *clientele) excuse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.excused = true
}

func (c *clientele) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first
}

// leave ends all that is going on, and tells of what failed before it was excused.
func (c *clientele) leave() error {
	c.excuse()
	c.cancel()
	c.busy.Wait()
	return c.failure()
}
