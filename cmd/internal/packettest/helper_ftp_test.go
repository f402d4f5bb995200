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

// retrieve has the client retrieve a file in each of the ways to open a data connection, some times each.
type retrieve struct{ to, ways string }

func (r retrieve) do(s *stage) error {
	for _, q := range s.questions("", "tcp", r.to) {
		for _, way := range strings.Fields(r.ways) {
			for range 4 {
				if err := q.retrieve(s, way); err != nil {
					return q.blame(fmt.Errorf("%s: %w", way, err))
				}
			}
		}
	}
	return nil
}

// unhelped: the service's data connections find no way, as nobody reads what its control connections say.
type unhelped struct{ to string }

func (u unhelped) do(s *stage) error {
	for _, q := range s.questions("", "tcp", u.to) {
		if err := q.retrieve(s, "EPSV"); err == nil {
			return q.blame(errors.New("retrieves a file, without a helper"))
		}
	}
	return nil
}

// retrieve logs in as somebody new and retrieves a file, which has to come from the machine that was logged in to.
func (q question) retrieve(s *stage, way string) error {
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

// An ftpSession is a control connection as its client sees it.
type ftpSession struct {
	net.Conn
	lines  *bufio.Scanner
	heard  string // the last reply
	server string // the machine that greeted
}

func (q question) login(s *stage) (*ftpSession, error) {
	conn, err := q.dial(s.speaker(q.from, q.to.Addr()))
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

// say says a line, which has to be replied to by the code.
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

// openData has a data connection opened (RFC 959, RFC 2428), and gives what reads it to its end. Passively the client
// opens it, to the service; actively the server does, and has to come from the service.
func (c *ftpSession) openData(q question, way string) (read func() (string, error), err error) {
	service := q.to.Addr()
	switch way {
	case "PASV":
		if err := c.say("PASV", 227); err != nil {
			return nil, err
		}
		at, err := parseHostPort(between(c.heard, "(", ")"))
		if err == nil && at.Addr() != service {
			err = fmt.Errorf("%q leads past the service", c.heard)
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

func (c *ftpSession) dialData(q question, to netip.AddrPort) (read func() (string, error), err error) {
	own := c.LocalAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	data, err := q.from.Dial(q.network, netip.AddrPortFrom(own, 0), to, patience)
	return func() (string, error) { return readData(data) }, err
}

func readData(data net.Conn) (string, error) {
	defer data.Close()
	data.SetDeadline(time.Now().Add(patience))
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
		return l.SetDeadline(time.Now().Add(patience))
	})
	if err != nil {
		return nil, at, err
	}
	at = l.Addr().(*net.TCPAddr).AddrPort()
	return l, netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), nil
}

// hostPort writes an address as PORT and PASV do.
func hostPort(at netip.AddrPort) string {
	return fmt.Sprintf("%s,%d,%d", strings.ReplaceAll(at.Addr().String(), ".", ","), at.Port()>>8, at.Port()&0xff)
}

func parseHostPort(text string) (netip.AddrPort, error) {
	var a [4]byte
	var high, low uint16
	_, err := fmt.Sscanf(text, "%d,%d,%d,%d,%d,%d", &a[0], &a[1], &a[2], &a[3], &high, &low)
	return netip.AddrPortFrom(netip.AddrFrom4(a), high<<8|low), err
}

// extended writes an address as EPRT does.
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

// serveFTP has all backends serve one file, which is the machine's name, on these ports.
type serveFTP []uint16

func (ports serveFTP) do(s *stage) error {
	for _, b := range s.Backends {
		for _, port := range ports {
			var l net.Listener
			if err := b.Do(func() (err error) {
				l, err = net.Listen("tcp", fmt.Sprintf(":%d", port))
				return err
			}); err != nil {
				return err
			}
			s.t.Cleanup(func() { l.Close() })
			go greetFTP(b, l)
		}
	}
	return nil
}

func greetFTP(h *netlab.Host, l net.Listener) {
	for {
		control, err := l.Accept()
		if err != nil {
			return
		}
		go ftpServer{h, control}.serve()
	}
}

// An ftpServer is one control connection as its server sees it.
type ftpServer struct {
	*netlab.Host
	net.Conn
}

func (c ftpServer) serve() {
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * patience))
	fmt.Fprintf(c, "220 %s is ready\r\n", c.Name)
	open := func() (net.Conn, error) { return nil, errors.New("no data connection") }
	for lines := bufio.NewScanner(c); lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		reply := "502 what?"
		switch word {
		case "USER":
			reply = "331 and your password?"
		case "PASS":
			reply = "230 welcome"
		case "PASV", "EPSV":
			open, reply = c.passive(word)
		case "PORT":
			at, err := parseHostPort(rest)
			open, reply = c.active(at, err)
		case "EPRT":
			at, err := parseExtended(rest)
			open, reply = c.active(at, err)
		case "RETR":
			fmt.Fprint(c, "150 here it comes\r\n")
			reply = c.send(open)
		}
		fmt.Fprintf(c, "%s\r\n", reply)
	}
}

func (c ftpServer) passive(word string) (open func() (net.Conn, error), reply string) {
	l, at, err := listenData(c.Host, c.LocalAddr())
	switch {
	case err != nil:
		return nil, "425 " + err.Error()
	case word == "PASV":
		reply = "227 Entering Passive Mode (" + hostPort(at) + ")."
	default:
		reply = fmt.Sprintf("229 Entering Extended Passive Mode (|||%d|)", at.Port())
	}
	return func() (net.Conn, error) {
		defer l.Close()
		return l.Accept()
	}, reply
}

func (c ftpServer) active(to netip.AddrPort, err error) (open func() (net.Conn, error), reply string) {
	if err != nil {
		return nil, "501 " + err.Error()
	}
	from := netip.AddrPortFrom(c.LocalAddr().(*net.TCPAddr).AddrPort().Addr().Unmap(), 0)
	return func() (net.Conn, error) { return c.Dial("tcp", from, to, patience) }, "200 all right"
}

func (c ftpServer) send(open func() (net.Conn, error)) (reply string) {
	data, err := open()
	if err != nil {
		return "425 " + err.Error()
	}
	defer data.Close()
	fmt.Fprint(data, c.Name)
	return "226 that was it"
}
