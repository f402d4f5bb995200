package netlab

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// plainTTL is the TTL of packets of the client and the balancer.
const plainTTL = 64

// backendTTL is the TTL, or hop limit, of packets of a backend. It differs by two, as one is lost on the balancer.
func backendTTL(i int) int { return 255 - 2*i }

// hostByTTL is the name of the host that sends packets which arrive with this TTL.
func (l *Lab) hostByTTL(ttl int) string {
	if i := (255 - ttl) / 2; i < len(l.Backends) {
		return l.Backends[i].Name
	}
	return l.Balancer.Name
}

// Ping sends one ICMP echo request, and finds the host that answers by the TTL of the reply. The local address and the
// errors are as for Ask.
func (h *Host) Ping(local, to netip.Addr, timeout time.Duration) (Answer, error) {
	c, err := h.pingSocket(local, to)
	if err != nil {
		return Answer{}, fmt.Errorf("ping %s: %w", to, err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(timeout)); err != nil {
		return Answer{}, err
	}
	if _, err := c.Write(echoRequest(to)); err != nil {
		return Answer{}, err
	}
	reply, control := make([]byte, 64), make([]byte, 128)
	_, n, _, _, err := c.ReadMsgUDPAddrPort(reply, control)
	if err != nil {
		return Answer{}, err
	}
	return Answer{
		Backend: h.lab.hostByTTL(ttl(control[:n])),
		Local:   netip.AddrPortFrom(to, 0),
		Peer:    netip.AddrPortFrom(addrPort(c.LocalAddr()).Addr(), 0),
	}, nil
}

// pingSocket opens a ping socket (net/ipv4/ping.c). The kernel fills in identifier and checksum, and passes only the
// replies and errors for this socket.
func (h *Host) pingSocket(local, to netip.Addr) (*net.UDPConn, error) {
	var c net.Conn
	err := h.Do(func() error {
		family, protocol, level, option := unix.AF_INET, unix.IPPROTO_ICMP, unix.IPPROTO_IP, unix.IP_RECVTTL
		if to.Is6() {
			family, protocol, level, option = unix.AF_INET6, unix.IPPROTO_ICMPV6, unix.IPPROTO_IPV6,
				unix.IPV6_RECVHOPLIMIT
		}
		fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
		if err != nil {
			return err
		}
		file := os.NewFile(uintptr(fd), "ping")
		defer file.Close()
		if err := unix.SetsockoptInt(fd, level, option, 1); err != nil {
			return err
		}
		if local.IsValid() {
			if err := unix.Bind(fd, socketAddress(local)); err != nil {
				return err
			}
		}
		if err := unix.Connect(fd, socketAddress(to)); err != nil {
			return err
		}
		c, err = net.FileConn(file)
		return err
	})
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil
}

func socketAddress(a netip.Addr) unix.Sockaddr {
	if a.Is6() {
		return &unix.SockaddrInet6{Addr: a.As16()}
	}
	return &unix.SockaddrInet4{Addr: a.As4()}
}

// echoRequest is the echo request of RFC 792 or RFC 4443.
func echoRequest(to netip.Addr) []byte {
	kind := byte(8)
	if to.Is6() {
		kind = 128
	}
	return []byte{kind, 0, 0, 0, 0, 0, 0, 1, 'f', 'a', 'r', 'm', 'c'}
}

// ttl parses the TTL or hop limit of a received message.
func ttl(control []byte) int {
	messages, _ := unix.ParseSocketControlMessage(control)
	for _, m := range messages {
		if len(m.Data) >= 4 {
			return int(m.Data[0]) | int(m.Data[3]) // an int of either byte order
		}
	}
	return 0
}
