package clustertest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"farmc/cmd/internal/netlab"
)

const (
	exchangeInterval = 500 * time.Millisecond
	patience         = 20 * time.Second       // for an answer by TCP; retransmissions come after 0.2, 0.6, 1.4 s and on
	datagramPatience = 500 * time.Millisecond // for an answer to a datagram
	datagramAttempts = 40                     // as many as make patience
)

// A flow is a connection of the client by TCP, or a conversation by UDP. It asks and gets an answer each half second.
type flow struct {
	mode    mode
	network string
	conn    net.Conn
	listens bool          // the client sends nothing, and the backend a line each half second
	backend string        // the one that answered first
	longest time.Duration // from a question to its answer
	lost    error
}

// openFlow opens a flow and learns its backend.
func (s *site) openFlow(m mode, network string, client netip.AddrPort) (*flow, error) {
	c, err := s.Client.Dial(network, client, m.service(network), patience)
	if err != nil {
		return nil, err
	}
	f := &flow{mode: m, network: network, conn: c}
	if f.datagrams() {
		return f, f.exchange()
	}
	c.SetReadDeadline(time.Now().Add(patience))
	answer, err := netlab.ReadAnswer(c)
	f.backend = answer.Backend
	return f, err
}

func (f *flow) datagrams() bool { return strings.HasPrefix(f.network, "udp") }

// run exchanges until the channel is closed, and once more after that.
func (f *flow) run(stopped <-chan struct{}) {
	for ticker := time.NewTicker(exchangeInterval); f.lost == nil; {
		select {
		case <-stopped:
			f.lost = f.exchange()
			return
		case <-ticker.C:
			f.lost = f.exchange()
		}
	}
}

// exchange asks, and notes how long the answer took.
func (f *flow) exchange() error {
	asked := time.Now()
	exchange := f.echo
	switch {
	case f.datagrams():
		exchange = f.askAgain
	case f.listens:
		exchange = f.listen
	}
	err := exchange()
	f.longest = max(f.longest, time.Since(asked))
	return err
}

// echo sends a line that the backend returns.
func (f *flow) echo() error {
	line := []byte("still there\n")
	f.conn.SetDeadline(time.Now().Add(patience))
	if _, err := f.conn.Write(line); err != nil {
		return err
	}
	return f.read(line)
}

// listen waits for the next line of a backend that speaks.
func (f *flow) listen() error {
	f.conn.SetDeadline(time.Now().Add(patience))
	return f.read(spoken)
}

// read reads a line.
func (f *flow) read(want []byte) error {
	got := make([]byte, len(want))
	if _, err := io.ReadFull(f.conn, got); err != nil {
		return err
	}
	if !bytes.Equal(want, got) {
		return fmt.Errorf("the backend sends %q", got)
	}
	return nil
}

// askAgain sends datagrams until one is answered. The backend must be the one of the first answer.
func (f *flow) askAgain() (err error) {
	for range datagramAttempts {
		var answer netlab.Answer
		if answer, err = f.ask(); err == nil {
			return f.sameBackend(answer.Backend)
		}
		if !netlab.TimedOut(err) {
			time.Sleep(datagramPatience) // an ICMP error
		}
	}
	return err
}

func (f *flow) ask() (netlab.Answer, error) {
	f.conn.SetDeadline(time.Now().Add(datagramPatience))
	if _, err := f.conn.Write([]byte("who?")); err != nil {
		return netlab.Answer{}, err
	}
	return netlab.ReadAnswer(f.conn)
}

func (f *flow) sameBackend(name string) error {
	if f.backend == "" {
		f.backend = name
	}
	if f.backend != name {
		return errors.New("moved from " + f.backend + " to " + name)
	}
	return nil
}
