package packettest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"farmc/cmd/internal/netlab"
)

// A setting is a sysctl of the balancer.
type setting struct{ name, value string }

func (o setting) do(s *testbed) error { return s.Balancer.Sysctl(o.name, o.value) }

// pause waits, so that times of the kernel end.
type pause time.Duration

func (p pause) do(*testbed) error {
	time.Sleep(time.Duration(p))
	return nil
}

// lateAnswerPort is the port of the servers of lateAnswer.
const lateAnswerPort = 9001

// lateAnswer sends a request, closes the sending side, and waits for the answer, which comes when the client has been
// silent for a while. A step can be done meanwhile.
type lateAnswer struct {
	to        string
	after     time.Duration
	meanwhile step
	lost      bool // the answer does not arrive
}

func (a lateAnswer) do(s *testbed) error {
	for _, q := range s.targets("", "tcp", a.to) {
		if err := a.once(s, q); err != nil {
			return q.wrap(err)
		}
	}
	return nil
}

func (a lateAnswer) once(s *testbed, q target) error {
	listener, err := listenOn(s.machine("b1"), q.network)
	if err != nil {
		return err
	}
	defer listener.Close()
	ready := make(chan struct{})
	go answerLate(listener, ready)
	c, err := q.dial(s.newClient(q.from, q.to.Addr()))
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write([]byte("work")); err != nil {
		return err
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	if a.meanwhile != nil {
		if err := a.meanwhile.do(s); err != nil {
			return err
		}
	}
	time.Sleep(a.after)
	close(ready)
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	answer, err := io.ReadAll(c)
	if arrived := err == nil && string(answer) == "done"; arrived == a.lost {
		return fmt.Errorf("answer %q, %v; want it lost: %t", answer, err, a.lost)
	}
	return nil
}

// listenOn opens a port of a machine.
func listenOn(h *netlab.Host, network string) (l net.Listener, err error) {
	err = h.Do(func() error {
		l, err = net.Listen(network, fmt.Sprintf(":%d", lateAnswerPort))
		return err
	})
	return l, err
}

// answerLate reads a request to its end, and answers it when the channel is closed.
func answerLate(l net.Listener, ready chan struct{}) {
	c, err := l.Accept()
	if err != nil {
		return
	}
	defer c.Close()
	io.Copy(io.Discard, c)
	<-ready
	c.Write([]byte("done"))
}

// silent: conversations with a backend get no answer and no refusal. They are forgotten.
type silent struct{ with string }

func (t silent) do(s *testbed) error {
	var others []*conversation
	asked := 0
	for _, c := range s.conversations {
		if c.with != t.with {
			others = append(others, c)
			continue
		}
		if asked++; asked > 4 { // each takes its time
			continue
		}
		if _, err := c.Write([]byte("still there?")); err != nil {
			return c.wrap(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			return err
		}
		if n, err := c.Read(make([]byte, 1)); !netlab.TimedOut(err) {
			return c.wrap(fmt.Errorf("conversation with %s: %d bytes, %v; want silence", c.with, n, err))
		}
	}
	s.conversations = others
	if asked == 0 {
		return errors.New("there is no conversation with " + t.with)
	}
	return nil
}

// turnsFarm serves by b1 and b2 in turn.
func turnsFarm(mode, listen, keys string) string {
	return oneBackend(mode, listen, "b1", 0, `scheduler = "round-robin"`, keys) +
		"[backends.b2]\naddress = ['10.2.0.12', 'fd00:2::12']\n"
}

// sameFlow sends two datagrams from one source port, with a pause between them.
type sameFlow struct {
	to    string
	after time.Duration
	moves bool // the second one reaches another backend
}

func (f sameFlow) do(s *testbed) error {
	for _, q := range s.targets("", "udp", f.to) {
		as := s.newClient(q.from, q.to.Addr())
		first, err := f.ask(q, as)
		if err != nil {
			return err
		}
		time.Sleep(f.after)
		second, err := f.ask(q, as)
		if err != nil {
			return err
		}
		if moved := first != second; moved != f.moves {
			return q.wrap(fmt.Errorf("%s answers, then %s; want another one: %t", first, second, f.moves))
		}
	}
	return nil
}

func (f sameFlow) ask(q target, as netip.AddrPort) (string, error) {
	answer, err := q.request(as)
	return answer.Backend, q.wrap(err)
}
