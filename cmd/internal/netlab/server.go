package netlab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// An Answer names the host that has answered. Servers send it as a line, "b1 10.2.0.11:80 198.51.100.2:40000\n".
type Answer struct {
	Backend string         // the host's name
	Local   netip.AddrPort // destination of the request, as the host has seen it
	Peer    netip.AddrPort // source of the request, as the host has seen it
}

func (a Answer) line() []byte {
	return fmt.Appendf(nil, "%s %s %s\n", a.Backend, a.Local, a.Peer)
}

func parseAnswer(line string) (a Answer, err error) {
	var local, peer string
	if _, err := fmt.Sscan(line, &a.Backend, &local, &peer); err != nil {
		return a, fmt.Errorf("answer %q: want a name, a local address and a peer address", line)
	}
	var errLocal, errPeer error
	a.Local, errLocal = netip.ParseAddrPort(local)
	a.Peer, errPeer = netip.ParseAddrPort(peer)
	return a, errors.Join(errLocal, errPeer)
}

// A Server answers on some ports of a host.
type Server struct {
	ctx        context.Context
	end        context.CancelFunc
	servingLab sync.WaitGroup
}

// Serve answers on the given ports by TCP and UDP in both families, on all addresses of the host, until the server or
// the lab is closed. On a TCP connection it sends the Answer first, and then echoes all data. To a UDP datagram it
// replies with the Answer, followed by at most maxDatagram bytes of the datagram, from the address that the datagram
// was sent to.
func (h *Host) Serve(ports ...uint16) (*Server, error) {
	s := new(Server)
	s.ctx, s.end = context.WithCancel(h.lab.ctx)
	err := h.Do(func() error {
		for _, port := range ports {
			if err := s.open(h, port); err != nil {
				return fmt.Errorf("serve on %s: %w", h.Name, err)
			}
		}
		return nil
	})
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close ends the server and its connections.
func (s *Server) Close() {
	s.end()
	s.servingLab.Wait()
}

// open creates the sockets of a port and starts to serve them. It runs on a thread in the host's namespace.
func (s *Server) open(h *Host, port uint16) error {
	for _, family := range []string{"4", "6"} {
		at := fmt.Sprintf(":%d", port)
		tcp, err := (&net.ListenConfig{KeepAlive: noKeepAlive}).Listen(s.ctx, "tcp"+family, at)
		if err != nil {
			return err
		}
		s.serveUntilClosed(h, tcp, func() { s.serveTCP(h, tcp) })
		config := net.ListenConfig{Control: requestDestination}
		udp, err := config.ListenPacket(s.ctx, "udp"+family, at)
		if err != nil {
			return err
		}
		s.serveUntilClosed(h, udp, func() { serveUDP(h.Name, udp.(*net.UDPConn), port) })
	}
	return nil
}

// serveUntilClosed starts f, which ends when c is closed.
func (s *Server) serveUntilClosed(h *Host, c io.Closer, f func()) {
	s.servingLab.Add(1)
	h.lab.open.Add(1)
	stop := context.AfterFunc(s.ctx, func() { c.Close() })
	go func() {
		defer h.lab.open.Done()
		defer s.servingLab.Done()
		defer c.Close()
		defer stop()
		f()
	}()
}

// serveTCP accepts connections, sends the Answer, and echoes all data.
func (s *Server) serveTCP(h *Host, l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		s.serveUntilClosed(h, c, func() {
			if _, err := c.Write(Answer{h.Name, addrPort(c.LocalAddr()), addrPort(c.RemoteAddr())}.line()); err == nil {
				io.Copy(c, c)
			}
		})
	}
}

// maxDatagram is the size of the longest datagram that a server echoes whole, in bytes. A lab has about 100 buffers.
const maxDatagram = 8 << 10

// serveUDP answers each datagram from the address that it was sent to.
func serveUDP(name string, c *net.UDPConn, port uint16) {
	payload, control := make([]byte, maxDatagram), make([]byte, 128)
	for {
		n, nc, _, peer, err := c.ReadMsgUDPAddrPort(payload, control)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error for an answer
		}
		local, from := destination(control[:nc])
		answer := Answer{name, netip.AddrPortFrom(local, port), peer}.line()
		c.WriteMsgUDPAddrPort(append(answer, payload[:n]...), from, peer)
	}
}

// requestDestination makes the kernel report the destination address of datagrams.
func requestDestination(network, _ string, raw syscall.RawConn) (err error) {
	set := func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1) }
	if strings.HasSuffix(network, "6") {
		set = func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1) }
	}
	return errors.Join(raw.Control(set), err)
}

// destination parses the destination address of a datagram, and gives the control message for an answer from there.
func destination(control []byte) (local netip.Addr, from []byte) {
	messages, _ := unix.ParseSocketControlMessage(control)
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO:
			a := [4]byte(m.Data[8:12]) // struct in_pktinfo: interface, our address, the destination
			return netip.AddrFrom4(a), unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: a})
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO:
			a := [16]byte(m.Data[:16]) // struct in6_pktinfo: the destination, interface
			return netip.AddrFrom16(a), unix.PktInfo6(&unix.Inet6Pktinfo{Addr: a})
		}
	}
	return netip.Addr{}, nil
}

// addrPort is a socket's address, with IPv4-mapped addresses as IPv4.
func addrPort(a net.Addr) netip.AddrPort {
	ap := netip.MustParseAddrPort(a.String())
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
