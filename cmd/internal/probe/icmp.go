package probe

import (
	"bytes"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"os"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"farmc/compiler/addr"
)

// icmp sends an echo request. It needs no privilege if net.ipv4.ping_group_range has a group of the process, and
// CAP_NET_RAW otherwise.
func (c *check) icmp() Result {
	conn, err := c.dialEcho()
	switch {
	case errors.Is(err, errNoEcho):
		return unknown("icmp: net.ipv4.ping_group_range excludes the groups of this user; see farmc-health(7)")
	case err != nil:
		return c.failed(err, noAnswer)
	}
	defer conn.Close()
	return c.echo(conn)
}

var errNoEcho = errors.New("no permission for ICMP")

// An echoConn is a socket for echo requests to one address.
type echoConn struct {
	net.Conn
	protocol echoProtocol
	raw      bool
}

// An echoProtocol has the numbers of ICMP of a family.
type echoProtocol struct {
	domain, number int
	request, reply icmp.Type
}

var echoProtocols = [len(addr.Families)]echoProtocol{
	addr.IP4: {unix.AF_INET, unix.IPPROTO_ICMP, ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply},
	addr.IP6: {unix.AF_INET6, unix.IPPROTO_ICMPV6, ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply},
}

// dialEcho opens a ping socket, or else a raw socket.
func (c *check) dialEcho() (echoConn, error) {
	e := echoConn{protocol: echoProtocols[addr.FamilyOf(c.Address)]}
	fd, err := e.protocol.socket(unix.SOCK_DGRAM)
	if errors.Is(err, unix.EACCES) {
		e.raw = true
		fd, err = e.protocol.socket(unix.SOCK_RAW)
	}
	switch {
	case errors.Is(err, unix.EPERM):
		return e, errNoEcho
	case err != nil:
		return e, err
	}
	socket := os.NewFile(uintptr(fd), "icmp")
	defer socket.Close() // FileConn copies it
	if err := c.connectEcho(fd, e.raw); err != nil {
		return e, err
	}
	conn, err := net.FileConn(socket)
	if err != nil {
		return e, err
	}
	e.Conn, err = c.limited(conn)
	return e, err
}

func (p echoProtocol) socket(kind int) (fd int, err error) {
	return unix.Socket(p.domain, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, p.number)
}

// connectEcho binds a socket to the source address, and connects it.
func (c *check) connectEcho(fd int, raw bool) error {
	family := addr.FamilyOf(c.Address)
	if err := reportICMP(fd, family == addr.IP6); err != nil {
		return err
	}
	bind := c.bindIdentifier
	if raw {
		bind = bindRaw
	}
	if err := bind(fd, family, c.Check.Source[family]); err != nil {
		return err
	}
	return unix.Connect(fd, socketAddress(family, c.Address, 0))
}

// bindIdentifier binds a ping socket. The identifier depends on the backend alone, so the checks of a backend share a
// conntrack entry. The kernel chooses another one if it is taken. It takes no identifier for taken unless the socket
// says so: ping sockets have SO_REUSEADDR from the start (inetsw_array of Linux), and one of two gets all replies.
func (c *check) bindIdentifier(fd int, family addr.Family, source netip.Addr) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 0); err != nil {
		return err
	}
	err := unix.Bind(fd, socketAddress(family, source, c.identifier()))
	if errors.Is(err, unix.EADDRINUSE) {
		return unix.Bind(fd, socketAddress(family, source, 0))
	}
	return err
}

// bindRaw binds a raw socket, which has no identifier.
func bindRaw(fd int, family addr.Family, source netip.Addr) error {
	if !source.IsValid() {
		return nil
	}
	return unix.Bind(fd, socketAddress(family, source, 0))
}

// identifier is not 0, which leaves the choice to the kernel.
func (c *check) identifier() uint16 { return uint16(c.hash()) | 1 }

// socketAddress is the form of an address and a port that the kernel takes. An invalid address becomes the unspecified
// one.
func socketAddress(family addr.Family, a netip.Addr, port uint16) unix.Sockaddr {
	if family == addr.IP4 {
		s := &unix.SockaddrInet4{Port: int(port)}
		copy(s.Addr[:], a.AsSlice())
		return s
	}
	s := &unix.SockaddrInet6{Port: int(port)}
	copy(s.Addr[:], a.AsSlice())
	return s
}

// echo sends the request and reads until its reply has come. The data is random, because a raw socket reads the replies
// to all requests to the address.
func (c *check) echo(conn echoConn) Result {
	data := make([]byte, 16)
	rand.Read(data)
	request := icmp.Message{Type: conn.protocol.request, Body: &icmp.Echo{ID: int(c.identifier()), Seq: 1, Data: data}}
	packet, err := request.Marshal(nil) // the kernel adds the checksum of IPv6
	if err != nil {
		panic(err) // an echo request has a form
	}
	if _, err := conn.Write(packet); err != nil {
		return c.failed(err, noAnswer)
	}
	if err := conn.awaitReply(data); err != nil {
		return c.failed(err, noAnswer)
	}
	return healthy("echo reply")
}

func (e echoConn) awaitReply(data []byte) error {
	for buffer := make([]byte, 1500); ; {
		n, err := e.Read(buffer)
		if err != nil || e.isReply(buffer[:n], data) {
			return err
		}
	}
}

// isReply reports whether the packet replies to the request with this data.
func (e echoConn) isReply(packet, data []byte) bool {
	if e.raw && e.protocol.domain == unix.AF_INET && len(packet) > 0 {
		packet = packet[min(len(packet), int(packet[0]&0xf)*4):] // without the header of IPv4
	}
	message, err := icmp.ParseMessage(e.protocol.number, packet)
	if err != nil || message.Type != e.protocol.reply {
		return false
	}
	echo, hasData := message.Body.(*icmp.Echo)
	return hasData && bytes.Equal(echo.Data, data)
}
