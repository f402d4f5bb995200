package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"farmc/compiler/farm"
)

// dial opens a connection to the backend, which ends with the check. The network is "tcp" or "udp".
func (c *check) dial(network string) (net.Conn, error) {
	conn, err := c.connect(network)
	if err != nil {
		return nil, err
	}
	return c.limited(conn)
}

// connect opens a connection that the check has to close.
func (c *check) connect(network string) (net.Conn, error) {
	from := c.source()
	conn, err := c.dialFrom(network, from)
	// The port is taken by another program, or by another check that runs longer than its interval.
	if from.Port() != 0 && (errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EADDRNOTAVAIL)) {
		return c.dialFrom(network, netip.AddrPortFrom(from.Addr(), 0))
	}
	return conn, err
}

// limited ends reads and writes of a connection at the deadline, and when ctx is done.
func (c *check) limited(conn net.Conn) (net.Conn, error) {
	if err := conn.SetDeadline(c.deadline); err != nil {
		conn.Close()
		return nil, err
	}
	if c.ctx.Done() == nil {
		return conn, nil
	}
	return endedConn{conn, context.AfterFunc(c.ctx, func() { conn.SetDeadline(past) })}, nil
}

// An endedConn no longer waits for its context once it is closed.
type endedConn struct {
	net.Conn
	stop func() bool
}

// Close closes the connection.
func (e endedConn) Close() error {
	e.stop()
	return e.Conn.Close()
}

func (c *check) dialFrom(network string, from netip.AddrPort) (net.Conn, error) {
	dialer := net.Dialer{Deadline: c.deadline, KeepAlive: -1, Control: c.options}
	if network == "udp" {
		dialer.LocalAddr = net.UDPAddrFromAddrPort(from)
	} else {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(from)
	}
	return dialer.DialContext(c.ctx, network, netip.AddrPortFrom(c.Address, c.Port).String())
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// options sets the options of a socket before it connects.
func (c *check) options(network, _ string, socket syscall.RawConn) (err error) {
	return errors.Join(socket.Control(func(fd uintptr) { err = c.setOptions(int(fd), network) }), err)
}

func (c *check) setOptions(fd int, network string) error {
	err := reportICMP(fd, strings.HasSuffix(network, "6"))
	if strings.HasPrefix(network, "tcp") {
		return errors.Join(err, c.setTCPOptions(fd))
	}
	return err
}

// setTCPOptions lets sockets to different addresses share a port. Sockets of UDP do not share ports, because the kernel
// would give them the same address, too, and all replies to one of them.
func (c *check) setTCPOptions(fd int) error {
	err := errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
	if c.serverSpeaksFirst() {
		return err
	}
	// The last packet of the handshake waits for the first data (tcp_rcv_synsent_state_process of the kernel), or for
	// the close, which sends a reset in its place.
	return errors.Join(err, unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0))
}

// serverSpeaksFirst reports whether the check waits for bytes before it sends any.
func (c *check) serverSpeaksFirst() bool {
	return c.Check.Type == farm.HealthTCP && c.Check.Send == "" && c.Check.Expect != ""
}

// reportICMP makes messages of ICMP errors of the socket at once. Otherwise most of them end in a timeout.
func reportICMP(fd int, ip6 bool) error {
	if ip6 {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVERR, 1)
}
