package packettest

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"farmc/cmd/internal/netlab"
)

// serveFTP: all backends serve one file on these ports. The file holds the machine's name.
type serveFTP []uint16

func (ports serveFTP) do(s *testbed) error {
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

// An ftpServer is a control connection on the server's side.
type ftpServer struct {
	*netlab.Host
	net.Conn
}

func (c ftpServer) serve() {
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * answerTimeout))
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
	return func() (net.Conn, error) { return c.Dial("tcp", from, to, answerTimeout) }, "200 all right"
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
