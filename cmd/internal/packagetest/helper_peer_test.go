package packagetest

import (
	"bufio"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain makes this binary the program peer on the machine, too.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "peer" {
		if err := peer(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	os.Exit(m.Run())
}

// peer is a program for both ends of connections:
//
//	peer serve NAME ADDRESS...   send NAME to each client, then echo, until standard input ends
//	peer request ADDRESS         print the name of the server
//	peer hold ADDRESS            send data over one connection until standard input ends
//	peer reconnect ADDRESS       open one connection after the other until standard input ends
//	peer acl FILE                let user 65534 write to the file, by an access control list
//
// hold and reconnect fail with the first connection that is refused, broken or silent for 30 s.
func peer(args []string) error {
	switch args[0] {
	case "serve":
		return serve(args[1], args[2:])
	case "request":
		name, err := request(args[1])
		fmt.Println(name)
		return err
	case "hold":
		return hold(args[1])
	case "reconnect":
		return reconnect(args[1])
	case "acl":
		return grant(args[1])
	}
	return fmt.Errorf("unknown command %q", args[0])
}

func serve(name string, addresses []string) error {
	for _, address := range addresses {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go answer(c, name)
			}
		}()
	}
	fmt.Println("ready")
	<-endOfInput(os.Stdin)
	return nil
}

func answer(c net.Conn, name string) {
	defer c.Close()
	fmt.Fprintln(c, name)
	io.Copy(c, c)
}

// connectionTimeout is the time without data after which a connection counts as lost.
const connectionTimeout = 30 * time.Second

// dial opens a connection and returns the name of the server.
func dial(address string) (net.Conn, *bufio.Reader, string, error) {
	c, err := net.DialTimeout("tcp", address, connectionTimeout)
	if err != nil {
		return nil, nil, "", err
	}
	c.SetDeadline(time.Now().Add(connectionTimeout))
	r := bufio.NewReader(c)
	name, err := r.ReadString('\n')
	if err != nil {
		c.Close()
		return nil, nil, "", err
	}
	return c, r, name[:len(name)-1], nil
}

func request(address string) (string, error) {
	c, _, name, err := dial(address)
	if err == nil {
		c.Close()
	}
	return name, err
}

// endOfInput is closed at the end of the input.
func endOfInput(r io.Reader) <-chan struct{} {
	end := make(chan struct{})
	go func() {
		io.Copy(io.Discard, r)
		close(end)
	}()
	return end
}

func hold(address string) error {
	stopped := endOfInput(os.Stdin)
	c, r, _, err := dial(address)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for n := 0; ; n++ {
		c.SetDeadline(time.Now().Add(connectionTimeout))
		if _, err := fmt.Fprintln(c, "still there"); err != nil {
			return fmt.Errorf("after %d lines: %w", n, err)
		}
		if _, err := r.ReadString('\n'); err != nil {
			return fmt.Errorf("after %d lines: %w", n, err)
		}
		select {
		case <-stopped:
			fmt.Println(n, "lines")
			return nil
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func reconnect(address string) error {
	stopped := endOfInput(os.Stdin)
	for n := 0; ; n++ {
		if _, err := request(address); err != nil {
			return fmt.Errorf("after %d connections: %w", n, err)
		}
		if n == 0 {
			fmt.Println("ready")
		}
		select {
		case <-stopped:
			fmt.Println(n, "connections")
			return nil
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// grant sets the access control list u::rw-, u:65534:rw-, g::---, m::rw-, o::---, in the form of the kernel
// (linux/posix_acl_xattr.h).
func grant(file string) error {
	const none = 0xffffffff
	list := binary.LittleEndian.AppendUint32(nil, 2) // version
	for _, entry := range []struct {
		tag, rights uint16
		id          uint32
	}{{0x01, 6, none}, {0x02, 6, 65534}, {0x04, 0, none}, {0x10, 6, none}, {0x20, 0, none}} {
		list = binary.LittleEndian.AppendUint16(list, entry.tag)
		list = binary.LittleEndian.AppendUint16(list, entry.rights)
		list = binary.LittleEndian.AppendUint32(list, entry.id)
	}
	return unix.Setxattr(file, "system.posix_acl_access", list, 0)
}
