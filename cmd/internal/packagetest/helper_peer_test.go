package packagetest

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
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
//	peer serve NAME ADDRESS...   say NAME to everybody, then say back what is said, until standard input ends
//	peer ask ADDRESS             print who answers
//	peer hold ADDRESS            talk on one connection until then
//	peer knock ADDRESS           open connection after connection until then
//
// The latter two fail with the first one that is refused, cut or silent for half a minute.
func peer(args []string) error {
	switch args[0] {
	case "serve":
		return serve(args[1], args[2:])
	case "ask":
		name, err := ask(args[1])
		fmt.Println(name)
		return err
	case "hold":
		return hold(args[1])
	case "knock":
		return knock(args[1])
	}
	return fmt.Errorf("peer %s?", args[0])
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
	<-ended(os.Stdin)
	return nil
}

func answer(c net.Conn, name string) {
	defer c.Close()
	fmt.Fprintln(c, name)
	io.Copy(c, c)
}

// silence is how long nothing is heard of a connection that is lost.
const silence = 30 * time.Second

// greeted opens a connection and gives the name of who answered.
func greeted(address string) (net.Conn, *bufio.Reader, string, error) {
	c, err := net.DialTimeout("tcp", address, silence)
	if err != nil {
		return nil, nil, "", err
	}
	c.SetDeadline(time.Now().Add(silence))
	r := bufio.NewReader(c)
	name, err := r.ReadString('\n')
	if err != nil {
		c.Close()
		return nil, nil, "", err
	}
	return c, r, name[:len(name)-1], nil
}

func ask(address string) (string, error) {
	c, _, name, err := greeted(address)
	if err == nil {
		c.Close()
	}
	return name, err
}

// ended is closed when there is nothing more to read.
func ended(r io.Reader) <-chan struct{} {
	end := make(chan struct{})
	go func() {
		io.Copy(io.Discard, r)
		close(end)
	}()
	return end
}

func hold(address string) error {
	stopped := ended(os.Stdin)
	c, r, _, err := greeted(address)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for n := 0; ; n++ {
		c.SetDeadline(time.Now().Add(silence))
		if _, err := fmt.Fprintln(c, "still there"); err != nil {
			return fmt.Errorf("after %d words: %w", n, err)
		}
		if _, err := r.ReadString('\n'); err != nil {
			return fmt.Errorf("after %d words: %w", n, err)
		}
		select {
		case <-stopped:
			fmt.Println(n, "words")
			return nil
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func knock(address string) error {
	stopped := ended(os.Stdin)
	for n := 0; ; n++ {
		if _, err := ask(address); err != nil {
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
