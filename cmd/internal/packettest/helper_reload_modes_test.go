package packettest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
)

// switchModes goes through the modes, and back.
func switchModes(farm func(mode string) string, further ...string) step {
	modes := append([]string{"snat", "dnat", "dsr", "stateless"}, further...)
	for i := len(modes) - 2; i >= 0; i-- {
		modes = append(modes, modes[i])
	}
	return stepFunc(func(s *testbed) error {
		if err := (farms{"web": farm("snat")}).do(s); err != nil {
			return err
		}
		before := s.clientLoad()
		for _, mode := range modes {
			before.tolerateErrors() // from now on a connection may break
			if err := (farms{"web": farm(mode)}).do(s); err != nil {
				return errors.Join(err, before.stop())
			}
			now := s.clientLoad()
			if err := before.stop(); err != nil {
				return errors.Join(err, now.stop())
			}
			now.awaitMany()
			if err := now.failure(); err != nil {
				return errors.Join(fmt.Errorf("after the switch to %s: %w", mode, err), now.stop())
			}
			if err := s.checkMode(mode); err != nil {
				return errors.Join(err, now.stop())
			}
			before = now
		}
		return before.stop()
	})
}

// checkMode recognises the mode by the addresses that backends see.
func (s *testbed) checkMode(mode string) (err error) {
	for _, q := range s.targets("", "tcp udp", service1) {
		as := s.newClient(q.from, q.to.Addr())
		answer, asked := q.request(as)
		if err = errors.Join(err, q.wrap(asked)); asked != nil {
			continue
		}
		if (answer.Peer == as) != (mode != "snat") || (answer.Local == q.to) != (mode == "dsr") {
			err = errors.Join(err, q.wrap(fmt.Errorf("in mode %s: as %s: %v", mode, as, answer)))
		}
	}
	return err
}

// A clientLoad opens connections all the time.
type clientLoad struct {
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	enough  chan struct{} // closed after many connections

	mu        sync.Mutex
	served    int
	first     error // the first error before tolerateErrors
	tolerated bool
}

func (s *testbed) clientLoad() *clientLoad {
	c := &clientLoad{enough: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	for _, q := range s.targets("", "tcp udp", service1) {
		for range 3 {
			c.running.Go(func() {
				for c.ctx.Err() == nil {
					c.record(q.wrap(c.converse(q, s.newClient(q.from, q.to.Addr()))))
				}
			})
		}
	}
	return c
}

// converse opens a connection and sends data twice.
func (c *clientLoad) converse(q target, as netip.AddrPort) error {
	conn, err := q.dial(as)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(c.ctx, func() { conn.Close() })()
	return errors.Join(connection{conn, q}.echo([]byte("one")), connection{conn, q}.echo([]byte("another")))
}

func (c *clientLoad) record(err error) {
	const many = 200
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.served++
	case !c.tolerated && c.first == nil:
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

func (c *clientLoad) awaitMany() { <-c.enough }

// tolerateErrors ignores errors from now on.
func (c *clientLoad) tolerateErrors() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tolerated = true
}

func (c *clientLoad) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first
}

// stop ends all connections, and returns the first error before tolerateErrors.
func (c *clientLoad) stop() error {
	c.tolerateErrors()
	c.cancel()
	c.running.Wait()
	return c.failure()
}
