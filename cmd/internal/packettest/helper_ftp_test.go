package packettest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"farmc/cmd/internal/netlab"
)

// retrieve: the client retrieves a file several times, with each kind of data connection.
type retrieve struct{ to, ways string }

func (r retrieve) do(s *testbed) error {
	for _, q := range s.targets("", "tcp", r.to) {
		for _, way := range strings.Fields(r.ways) {
			for range 4 {
				if err := q.retrieve(s, way); err != nil {
					return q.wrap(fmt.Errorf("%s: %w", way, err))
				}
			}
		}
	}
	return nil
}

// unhelped: data connections fail, because no helper reads the control connection.
type unhelped struct{ to string }

func (u unhelped) do(s *testbed) error {
	for _, q := range s.targets("", "tcp", u.to) {
		if err := q.retrieve(s, "EPSV"); err == nil {
			return q.wrap(errors.New("retrieves a file without a helper"))
		}
	}
	return nil
}

// retrieve logs in from a new port and retrieves a file, which has to come from the same machine.
func (q target) retrieve(s *testbed, way string) error {
	c, err := q.login(s)
	if err != nil {
		return err
	}
	defer c.Close()
	read, err := c.openData(q, way)
	if err != nil {
		return err
	}
	if err := c.say("RETR file", 150); err != nil {
		return err
	}
	if content, err := read(); err != nil || content != c.server {
		return fmt.Errorf("the file of %s is %q, %w", c.server, content, err)
	}
	return c.hear(226)
}

// An ftpSession is a control connection on the client's side.
type ftpSession struct {
	net.Conn
	lines  *bufio.Scanner
	heard  string // the last reply
	server string // the machine that greeted
}

func (q target) login(s *testbed) (*ftpSession, error) {
	conn, err := q.dial(s.newClient(q.from, q.to.Addr()))
	if err != nil {
		return nil, err
	}
	c := &ftpSession{Conn: conn, lines: bufio.NewScanner(conn)}
	if err := c.hear(220); err != nil {
		return nil, err
	}
	c.server = strings.Fields(c.heard)[1]
	return c, errors.Join(c.say("USER anonymous", 331), c.say("PASS guest", 230))
}

// say sends a line and expects the reply code.
func (c *ftpSession) say(line string, code int) error {
	if _, err := fmt.Fprintf(c, "%s\r\n", line); err != nil {
		return err
	}
	return c.hear(code)
}

func (c *ftpSession) hear(code int) error {
	if !c.lines.Scan() {
		return fmt.Errorf("no reply: %w", c.lines.Err())
	}
	c.heard = c.lines.Text()
	if !strings.HasPrefix(c.heard, strconv.Itoa(code)+" ") {
		return fmt.Errorf("the reply is %q, want %d", c.heard, code)
	}
	return nil
}

// openData opens a data connection (RFC 959, RFC 2428), and returns a function that reads it. In passive mode the
// client connects to the service; in active mode the server connects, with the service's address as its source.
func (c *ftpSession) openData(q target, way string) (read func() (string, error), err error) {
	service := q.to.Addr()
	switch way {
	case "PASV":
		if err := c.say("PASV", 227); err != nil {
			return nil, err
		}
		at, err := parseHostPort(between(c.heard, "(", ")"))
		if err == nil && at.Addr() != service {
			err = fmt.Errorf("%q is not the service's address", c.heard)
		}
		if err != nil {
			return nil, err
		}
		return c.dialData(q, at)
	case "EPSV":
		if err := c.say("EPSV", 229); err != nil {
			return nil, err
		}
		port, err := strconv.ParseUint(between(c.heard, "(|||", "|)"), 10, 16)
		if err != nil {
			return nil, err
		}
		return c.dialData(q, netip.AddrPortFrom(service, uint16(port)))
	}
	l, at, err := listenData(q.from, c.LocalAddr())
	if err != nil {
		return nil, err
	}
	read = func() (string, error) {
		defer l.Close()
		data, err := l.AcceptTCP()
		if err != nil {
			return "", err
		}
		if from := data.RemoteAddr().(*net.TCPAddr).AddrPort().Addr(); from.Unmap() != service {
			return "", fmt.Errorf("the data comes from %s", from)
		}
		return readData(data)
	}
	if way == "PORT" {
		return read, c.say("PORT "+hostPort(at), 200)
	}
	return read, c.say("EPRT "+extended(at), 200)
}

func (c *ftpSession) dialData(q target, to netip.AddrPort) (read func() (string, error), err error) {
	own := c.LocalAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	data, err := q.from.Dial(q.network, netip.AddrPortFrom(own, 0), to, answerTimeout)
	return func() (string, error) { return readData(data) }, err
}

func readData(data net.Conn) (string, error) {
	defer data.Close()
	data.SetDeadline(time.Now().Add(answerTimeout))
	content, err := io.ReadAll(data)
	return string(content), err
}

// listenData opens a port for a data connection, at the address of the control connection.
func listenData(h *netlab.Host, control net.Addr) (l *net.TCPListener, at netip.AddrPort, err error) {
	own := control.(*net.TCPAddr).IP
	err = h.Do(func() error {
		if l, err = net.ListenTCP("tcp", &net.TCPAddr{IP: own}); err != nil {
			return err
		}
		return l.SetDeadline(time.Now().Add(answerTimeout))
	})
	if err != nil {
		return nil, at, err
	}
	at = l.Addr().(*net.TCPAddr).AddrPort()
	return l, netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), nil
}

// hostPort formats an address for PORT and PASV.
func hostPort(at netip.AddrPort) string {
	return fmt.Sprintf("%s,%d,%d", strings.ReplaceAll(at.Addr().String(), ".", ","), at.Port()>>8, at.Port()&0xff)
}

func parseHostPort(text string) (netip.AddrPort, error) {
	var a [4]byte
	var high, low uint16
	_, err := fmt.Sscanf(text, "%d,%d,%d,%d,%d,%d", &a[0], &a[1], &a[2], &a[3], &high, &low)
	return netip.AddrPortFrom(netip.AddrFrom4(a), high<<8|low), err
}

// extended formats an address for EPRT.
func extended(at netip.AddrPort) string {
	return fmt.Sprintf("|%s|%s|%d|", map[bool]string{false: "1", true: "2"}[at.Addr().Is6()], at.Addr(), at.Port())
}

func parseExtended(text string) (netip.AddrPort, error) {
	words := strings.Split(text, "|")
	if len(words) != 5 {
		return netip.AddrPort{}, fmt.Errorf("%q is no address", text)
	}
	return netip.ParseAddrPort(net.JoinHostPort(words[2], words[3]))
}

func between(text, begin, end string) string {
	_, text, _ = strings.Cut(text, begin)
	text, _, _ = strings.Cut(text, end)
	return text
}
