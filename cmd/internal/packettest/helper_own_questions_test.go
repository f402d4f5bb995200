package packettest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"farmc/cmd/internal/netlab"
)

// ownQuestions: the balancer has a connection to the client from each of its addresses while the farms are loaded,
// which goes on afterwards. Then it asks the client new questions.
type ownQuestions struct {
	as    string
	farms farms
}

func (o ownQuestions) do(s *testbed) error {
	open, err := o.open(s)
	if err != nil {
		return err
	}
	if err := o.farms.do(s); err != nil {
		return err
	}
	var errs []error
	for _, q := range o.targets(s, "udp tcp") {
		errs = append(errs, q.wrap(o.ask(s, q)))
	}
	for _, c := range open {
		errs = append(errs, echoes(c))
	}
	return errors.Join(errs...)
}

// targets is port 53 of the client, in the families of the addresses.
func (o ownQuestions) targets(s *testbed, protocols string) (all []target) {
	for _, word := range strings.Fields(o.as) {
		to := s.clients(netip.MustParseAddr(word))[0]
		all = append(all, s.targets("balancer", protocols, netip.AddrPortFrom(to, 53).String())...)
	}
	return all
}

// from is the address of the family.
func (o ownQuestions) from(to netip.Addr, port uint16) netip.AddrPort {
	for _, word := range strings.Fields(o.as) {
		if a := netip.MustParseAddr(word); a.Is6() == to.Is6() {
			return netip.AddrPortFrom(a, port)
		}
	}
	return netip.AddrPort{}
}

// ownAnswerTimeout is short, because a lost answer of UDP never comes.
const ownAnswerTimeout = 3 * time.Second

// ask asks five questions.
func (o ownQuestions) ask(s *testbed, q target) error {
	for port := range uint16(5) {
		as := o.from(q.to.Addr(), 40000+port)
		if who, err := q.ownRequest(as); err != nil || who != "client" {
			return fmt.Errorf("a question as %s is answered by %q: %v", as, who, err)
		}
	}
	return nil
}

// ownRequest sends one request, and gives the name of the machine that answers.
func (q target) ownRequest(as netip.AddrPort) (string, error) {
	c, err := q.from.Dial(q.network, as, q.to, ownAnswerTimeout)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(ownAnswerTimeout)); err != nil {
		return "", err
	}
	if _, err := c.Write([]byte("who?")); err != nil {
		return "", err
	}
	answer, err := netlab.ReadAnswer(c)
	return answer.Backend, err
}

// open opens connections that last.
func (o ownQuestions) open(s *testbed) (all []net.Conn, err error) {
	for _, q := range o.targets(s, "tcp") {
		c, err := q.dial(o.from(q.to.Addr(), 41000))
		if err != nil {
			return nil, q.wrap(err)
		}
		s.t.Cleanup(func() { c.Close() })
		if _, err := netlab.ReadAnswer(c); err != nil {
			return nil, q.wrap(err)
		}
		all = append(all, c)
	}
	return all, nil
}

// echoes sends a word to a server, which sends it back.
func echoes(c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(ownAnswerTimeout)); err != nil {
		return err
	}
	if _, err := c.Write([]byte("hello")); err != nil {
		return err
	}
	if _, err := c.Read(make([]byte, 10)); err != nil {
		return fmt.Errorf("the connection from %s to %s ends: %w", c.LocalAddr(), c.RemoteAddr(), err)
	}
	return nil
}
