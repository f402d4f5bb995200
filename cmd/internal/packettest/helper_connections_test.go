package packettest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"time"
)

// A connection stays open.
type connection struct {
	net.Conn
	target
}

// hold opens 20 connections for each protocol and address, and keeps them.
type hold struct {
	from   string
	by, to string
}

func (h hold) do(s *testbed) error {
	for _, q := range s.targets(h.from, h.by, h.to) {
		for range 20 {
			c, err := q.dial(s.newClient(q.from, q.to.Addr()))
			if err != nil {
				return q.wrap(err)
			}
			s.held = append(s.held, connection{c, q})
		}
	}
	return echo{}.do(s)
}

// echo: all held connections carry data to the backend and back.
type echo struct{}

func (echo) do(s *testbed) (err error) {
	if len(s.held) == 0 {
		return errors.New("no connection is held")
	}
	var broken []error
	for _, c := range s.held {
		if err := c.echo([]byte(time.Now().String())); err != nil {
			broken = append(broken, c.wrap(err))
		}
	}
	if len(broken) > 0 {
		return fmt.Errorf("%d of %d connections broke, the first as %w", len(broken), len(s.held), broken[0])
	}
	return nil
}

// echo sends a payload and waits until it is back.
func (c connection) echo(payload []byte) error {
	if err := c.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(payload)
		sent <- err
	}()
	var heard []byte
	buffer := make([]byte, 1<<16)
	for !bytes.HasSuffix(heard, payload) {
		n, err := c.Read(buffer)
		heard = append(heard, buffer[:n]...)
		if err != nil {
			return fmt.Errorf("%w, after %d bytes", err, len(heard))
		}
	}
	return <-sent
}

// transfer sends size bytes at once, which come back. UDP carries them as fragments.
type transfer struct {
	by, to string
	size   int
}

func (c transfer) do(s *testbed) error {
	payload := bytes.Repeat([]byte("0123456789"), c.size/10)
	for _, q := range s.targets("", c.by, c.to) {
		conn, err := q.dial(s.newClient(q.from, q.to.Addr()))
		if err == nil {
			err = connection{conn, q}.echo(payload)
			conn.Close()
		}
		if err != nil {
			return q.wrap(err)
		}
	}
	return nil
}
