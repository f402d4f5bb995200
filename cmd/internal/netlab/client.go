package netlab

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Dial opens a connection from the host. The network is "tcp4", "tcp6", "udp4" or "udp6". The kernel chooses a zero
// local address or port. Reading from a UDP connection reports ICMP errors. The lab closes the connection at its end.
func (h *Host) Dial(network string, local, to netip.AddrPort, timeout time.Duration) (net.Conn, error) {
	c, err := h.dial(network, local, to, timeout)
	if err != nil {
		return nil, err
	}
	h.lab.open.Add(1)
	context.AfterFunc(h.lab.ctx, func() {
		defer h.lab.open.Done()
		c.Close()
	})
	return c, nil
}

func (h *Host) dial(network string, local, to netip.AddrPort, timeout time.Duration) (net.Conn, error) {
	dialer := net.Dialer{Timeout: timeout, KeepAlive: noKeepAlive, Control: h.markSocket}
	if strings.HasPrefix(network, "udp") {
		dialer.LocalAddr = net.UDPAddrFromAddrPort(local)
	} else {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(local)
	}
	var c net.Conn
	err := h.Do(func() (err error) {
		c, err = dialer.DialContext(h.lab.ctx, network, to.String())
		return err
	})
	return c, err
}

// noKeepAlive is for TCP sockets of both ends. By default Go sends a packet over a connection that is idle for 15 s,
// and a connection has to be as still as the test is.
const noKeepAlive = -1

func (h *Host) markSocket(_, _ string, c syscall.RawConn) (err error) {
	if h.mark == 0 {
		return nil
	}
	failed := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, h.mark) })
	return errors.Join(failed, err)
}

// Ask finds the backend that answers at an address, by a TCP connection or one UDP datagram. The local address is any
// address of the host, or zero for the kernel's choice. TimedOut(err) means that there was no answer,
// errors.Is(err, syscall.ECONNREFUSED) that the connection was refused.
func (h *Host) Ask(network string, local netip.Addr, to netip.AddrPort, timeout time.Duration) (Answer, error) {
	end := time.Now().Add(timeout)
	c, err := h.dial(network, netip.AddrPortFrom(local, 0), to, timeout)
	if err != nil {
		return Answer{}, err
	}
	defer c.Close()
	if err := c.SetDeadline(end); err != nil {
		return Answer{}, err
	}
	if strings.HasPrefix(network, "udp") {
		if _, err := c.Write([]byte("who?")); err != nil {
			return Answer{}, err
		}
	}
	return ReadAnswer(c)
}

// longestAnswer is more than the longest line of an Answer, in bytes: a name, two addresses and ports.
const longestAnswer = 512

// ReadAnswer reads the Answer that a server sends first, on a new TCP connection or for a UDP datagram. It waits until
// the connection's deadline.
func ReadAnswer(c net.Conn) (Answer, error) {
	var received []byte
	buffer := make([]byte, longestAnswer)
	for {
		n, err := c.Read(buffer)
		received = append(received, buffer[:n]...)
		if line, _, ok := bytes.Cut(received, []byte("\n")); ok {
			return parseAnswer(string(line))
		}
		if err != nil {
			return Answer{}, err
		}
	}
}

// TimedOut tells whether the error is a timeout.
func TimedOut(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}
