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

// serveSCTP has the backends greet whoever opens an association, and echo the rest. Each socket has one address, as an
// association tells all that it has, and none but the one that was asked is the service's.
var serveSCTP = deed(func(s *stage) error {
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

// dialSCTP opens an association; the kernel gives up in time.
func dialSCTP(h *netlab.Host, as, to netip.AddrPort) (c net.Conn, err error) {
	file, err := socketSCTP(h, as, func(s int) error {
		limit := unix.NsecToTimeval(int64(patience))
		return errors.Join(unix.SetsockoptTimeval(s, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit), unix.Connect(s, socketAddress(to)))
	})
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if c, err = net.FileConn(file); err != nil {
		return nil, err
	}
	return c, c.SetDeadline(time.Now().Add(patience))
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
		if err := errors.Join(unix.SetsockoptInt(s, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), unix.Bind(s, socketAddress(at)), then(s)); err != nil {
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
			c.SetDeadline(time.Now().Add(2 * patience))
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

// converse has clients open associations with services, and say something that comes back.
type converse struct {
	to     string
	shares shares
	sees   string
}

func (a converse) do(s *stage) error {
	for _, q := range s.questions("", "sctp", a.to) {
		counts := map[string]int{}
		for range 20 {
			as := s.speaker(q.from, q.to.Addr())
			answer, err := a.once(q, as)
			if err == nil && answer.Peer.Addr() != (ask{sees: a.sees}).seen(s, q, as) {
				err = fmt.Errorf("%s sees %s", answer.Backend, answer.Peer)
			}
			if err != nil {
				return q.blame(fmt.Errorf("as %s: %w", as, err))
			}
			counts[fmt.Sprintf("%s:%d", answer.Backend, answer.Local.Port())]++
		}
		if err := a.shares.fit(counts); err != nil {
			return q.blame(err)
		}
	}
	return nil
}

func (a converse) once(q question, as netip.AddrPort) (netlab.Answer, error) {
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
