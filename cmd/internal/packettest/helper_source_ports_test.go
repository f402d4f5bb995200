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

// serveOn serves on one more port of a machine.
type serveOn struct {
	machine string
	port    uint16
}

func (o serveOn) do(s *testbed) error {
	_, err := s.machine(o.machine).Serve(o.port)
	return err
}

// asksBack: a client asks a service over UDP from the port of the backend, on which the balancer serves, too. Then the
// balancer's own service asks the backend from this port, and the backend asks the balancer, which answers.
type asksBack struct {
	to   string
	port uint16
}

func (a asksBack) do(s *testbed) (err error) {
	for _, q := range s.targets("", "udp", a.to) {
		err = errors.Join(err, q.wrap(a.once(s, q)))
	}
	return err
}

func (a asksBack) once(s *testbed, q target) error {
	server, err := listenUDP(s.Backends[0], netip.AddrPortFrom(address(s.Backends[0], q.to.Addr()), a.port))
	if err != nil {
		return err
	}
	defer server.Close()
	client, err := q.dial(netip.AddrPortFrom(s.clients(q.to.Addr())[0], a.port))
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := client.Write([]byte("who?")); err != nil {
		return err
	}
	text := make([]byte, 100)
	_, from, err := server.ReadFromUDPAddrPort(text)
	if err != nil {
		return fmt.Errorf("the backend gets nothing: %w", err)
	}
	if from.Port() == a.port || from.Port() < 1024 != (a.port < 1024) {
		return fmt.Errorf("the client's port %d is %d at the backend", a.port, from.Port())
	}
	if err := answers(server, from, client); err != nil {
		return fmt.Errorf("the client gets no answer: %w", err)
	}
	own := netip.AddrPortFrom(address(s.Balancer, q.to.Addr()), a.port)
	to := server.LocalAddr().(*net.UDPAddr).AddrPort()
	if err := s.Balancer.SendPacket(rawDatagram(own, to, "and you?")); err != nil {
		return err
	}
	if _, from, err = server.ReadFromUDPAddrPort(text); err != nil || from != own {
		return fmt.Errorf("the backend is asked by %s, and sees %s: %v", own, from, err)
	}
	if _, err := server.WriteToUDPAddrPort([]byte("and you?"), own); err != nil {
		return err
	}
	n, from, err := server.ReadFromUDPAddrPort(text)
	if err != nil || from != own || !strings.HasPrefix(string(text[:n]), "balancer ") {
		return fmt.Errorf("the backend asks %s, and gets %q from %s: %v", own, text[:n], from, err)
	}
	return nil
}

// answers sends a datagram from a server to a client.
func answers(server *net.UDPConn, to netip.AddrPort, client net.Conn) error {
	if _, err := server.WriteToUDPAddrPort([]byte("me"), to); err != nil {
		return err
	}
	_, err := client.Read(make([]byte, 10))
	return err
}

// listenUDP opens a socket that gives up after some seconds.
func listenUDP(h *netlab.Host, at netip.AddrPort) (c *net.UDPConn, err error) {
	err = h.Do(func() error {
		c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		return err
	})
	if err == nil {
		err = c.SetDeadline(time.Now().Add(5 * time.Second))
	}
	return c, err
}

// lowPort: clients with a source port below 1024 open connections, also several with the same port, and backends see
// ports of the longest run below 1024 on which the balancer does not serve, which begins at 501.
type lowPort struct {
	to     string
	port   uint16
	served uint16 // a port above 501 on which the balancer serves; 0: none
}

func (l lowPort) do(s *testbed) (err error) {
	for _, q := range s.targets("", "tcp", l.to) {
		for _, as := range s.clients(q.to.Addr())[:3] {
			c, dialled := q.dial(netip.AddrPortFrom(as, l.port))
			if dialled != nil {
				return q.wrap(dialled)
			}
			defer c.Close()
			if err := c.(*net.TCPConn).SetLinger(0); err != nil { // the next connection has the same port
				return err
			}
			answer, read := netlab.ReadAnswer(c)
			if port := answer.Peer.Port(); read == nil && (port < 501 || port >= 1024 || port == l.served) {
				read = fmt.Errorf("port %d of the client is %d at the backend", l.port, port)
			}
			err = errors.Join(err, q.wrap(read))
		}
	}
	return err
}

// portsSeen: backends see the source ports of clients, or nearly none of them.
type portsSeen struct {
	by, to string
	kept   bool
}

func (p portsSeen) do(s *testbed) error {
	const clients = 8
	for _, q := range s.targets("", p.by, p.to) {
		kept := 0
		for range clients {
			as := s.newClient(q.from, q.to.Addr())
			answer, err := q.request(as)
			switch {
			case err != nil:
				return q.wrap(err)
			case answer.Peer.Port() < 1024:
				return q.wrap(fmt.Errorf("port %d of the client is %d at the backend", as.Port(), answer.Peer.Port()))
			case answer.Peer.Port() == as.Port():
				kept++
			}
		}
		if p.kept && kept < clients || !p.kept && kept > 1 { // one of 64,512 ports is the client's own
			return q.wrap(fmt.Errorf("%d of %d source ports are kept, want all: %t", kept, clients, p.kept))
		}
	}
	return nil
}
