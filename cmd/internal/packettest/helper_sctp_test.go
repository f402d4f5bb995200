package packettest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"farmc/cmd/internal/netlab"

	"golang.org/x/sys/unix"
)

// serveSCTP: the backends greet the client of each association, and echo the rest. Each socket has one address, because
// an association announces all addresses of its host, and only the address of the request is the service's.
var serveSCTP = stepFunc(func(s *testbed) error {
	for _, b := range s.Backends {
		for _, at := range []netip.Addr{b.IP4[0], b.IP6[0]} {
			for _, port := range []uint16{443, 3868, 3869, 8050} {
				l, err := listenSCTP(b, netip.AddrPortFrom(at, port))
				if err != nil {
					return err
				}
				s.t.Cleanup(func() { l.Close() })
				go greetSCTP(b, l)
			}
		}
	}
	return nil
})

func listenSCTP(h *netlab.Host, at netip.AddrPort) (l net.Listener, err error) {
	file, err := socketSCTP(h, at, func(s int) error { return unix.Listen(s, 64) })
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return net.FileListener(file)
}

// dialSCTP opens an association; the kernel limits the time.
func dialSCTP(h *netlab.Host, as, to netip.AddrPort) (c net.Conn, err error) {
	file, err := socketSCTP(h, as, func(s int) error {
		limit := unix.NsecToTimeval(int64(answerTimeout))
		return errors.Join(unix.SetsockoptTimeval(s, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit),
			unix.Connect(s, socketAddress(to)))
	})
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if c, err = net.FileConn(file); err != nil {
		return nil, err
	}
	return c, c.SetDeadline(time.Now().Add(answerTimeout))
}

func socketSCTP(h *netlab.Host, at netip.AddrPort, then func(s int) error) (file *os.File, err error) {
	err = h.Do(func() error {
		family := unix.AF_INET
		if at.Addr().Is6() {
			family = unix.AF_INET6
		}
		s, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
		if err != nil {
			return err
		}
		if err := errors.Join(unix.SetsockoptInt(s, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
			unix.Bind(s, socketAddress(at)), then(s)); err != nil {
			unix.Close(s)
			return fmt.Errorf("sctp of %s: %w", at, err)
		}
		file = os.NewFile(uintptr(s), "sctp")
		return nil
	})
	return file, err
}

func socketAddress(at netip.AddrPort) unix.Sockaddr {
	if at.Addr().Is6() {
		return &unix.SockaddrInet6{Addr: at.Addr().As16(), Port: int(at.Port())}
	}
	return &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}
}

func greetSCTP(h *netlab.Host, l net.Listener) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		go func() {
			defer c.Close()
			c.SetDeadline(time.Now().Add(2 * answerTimeout))
			fmt.Fprintf(c, "%s %s %s\n", h.Name, c.LocalAddr(), c.RemoteAddr())
			buffer := make([]byte, 1<<16)
			for {
				n, err := c.Read(buffer)
				if err != nil {
					return
				}
				if _, err := c.Write(buffer[:n]); err != nil {
					return
				}
			}
		}()
	}
}

// associate: clients open associations with services, and send data that comes back.
type associate struct {
	to     string
	shares shares
	sees   string
}

func (a associate) do(s *testbed) error {
	for _, q := range s.targets("", "sctp", a.to) {
		counts := map[string]int{}
		for range 20 {
			as := s.newClient(q.from, q.to.Addr())
			answer, err := a.once(q, as)
			if err == nil && answer.Peer.Addr() != (request{sees: a.sees}).wantPeer(s, q, as) {
				err = fmt.Errorf("%s sees %s", answer.Backend, answer.Peer)
			}
			if err != nil {
				return q.wrap(fmt.Errorf("as %s: %w", as, err))
			}
			counts[fmt.Sprintf("%s:%d", answer.Backend, answer.Local.Port())]++
		}
		if err := a.shares.fit(counts); err != nil {
			return q.wrap(err)
		}
	}
	return nil
}

func (a associate) once(q target, as netip.AddrPort) (netlab.Answer, error) {
	c, err := dialSCTP(q.from, as, q.to)
	if err != nil {
		return netlab.Answer{}, err
	}
	defer c.Close()
	answer, err := netlab.ReadAnswer(c)
	if err != nil {
		return answer, err
	}
	return answer, connection{c, q}.echo([]byte("what was said"))
}
