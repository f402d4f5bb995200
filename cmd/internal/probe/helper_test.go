package probe

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"farmc/cmd/internal/netlab"
	"farmc/compiler/farm"
)

func TestMain(m *testing.M) { os.Exit(netlab.Main(m)) }

const (
	patience = 20 * time.Second       // timeout of checks that get an answer
	soon     = 500 * time.Millisecond // timeout of checks that get none: a busy machine connects within it
)

// a health is the check of a type, with the defaults of farms.
func a(kind farm.HealthType, changes ...func(*farm.Health)) farm.Health {
	h := farm.Health{Type: kind, Path: "/", Method: "GET", Status: []farm.Status{{First: 200, Last: 399}},
		TLSVerify: true, DNSType: "A", Interval: time.Second, Timeout: patience}
	for _, change := range changes {
		change(&h)
	}
	return h
}

func timeout(d time.Duration) func(*farm.Health) { return func(h *farm.Health) { h.Timeout = d } }

func send(text string) func(*farm.Health) {
	return func(h *farm.Health) { h.Send = farm.Payload(text) }
}
func expect(text string) func(*farm.Health) {
	return func(h *farm.Health) { h.Expect = farm.Payload(text) }
}

// addresses are those of a host in both families.
func addresses(h *netlab.Host) []netip.Addr { return []netip.Addr{h.IP4[0], h.IP6[0]} }

// checkFrom runs a check on a host.
func checkFrom(h *netlab.Host, t Target) (r Result) {
	if err := h.Do(func() error {
		r = Run(context.Background(), t)
		return nil
	}); err != nil {
		panic(err)
	}
	return r
}

// target is a backend for tests.
func target(address netip.Addr, port uint16, h farm.Health) Target {
	return Target{Address: address, Port: port, Farm: "web", Backend: "b1", Check: h}
}

// want fails the test unless the result has the reason, and is healthy if the reason is one of the healthy ones.
func want(t *testing.T, name string, got Result, healthy bool, reason string) {
	t.Helper()
	if got.Healthy != healthy || got.Reason != reason || got.Unknown || (got.Percent == 100) != healthy {
		t.Errorf("%s: %+v, want healthy %v, %q", name, got, healthy, reason)
	}
}

// serve accepts connections on a port of a host, in both families, and gives them to the handler, which has until the
// end of the test.
func serve(t testing.TB, h *netlab.Host, port uint16, handle func(net.Conn)) {
	t.Helper()
	var l net.Listener
	if err := h.Do(func() (err error) {
		l, err = net.Listen("tcp", ":"+strconv.Itoa(int(port)))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(t.Context(), func() { conn.Close() })
			go func() {
				defer stop()
				defer conn.Close()
				handle(conn)
			}()
		}
	}()
}

// Handlers of connections.

// silent never answers.
func silent(conn net.Conn) { io.Copy(io.Discard, conn) }

// resets ends the connection once the request has begun.
func resets(conn net.Conn) {
	conn.Read(make([]byte, 1))
	conn.(*net.TCPConn).SetLinger(0)
}

// closes ends the connection after the request.
func closes(conn net.Conn) { conn.Read(make([]byte, 4096)) }

// says sends a text without waiting for a request, and keeps the connection.
func says(text string) func(net.Conn) {
	return func(conn net.Conn) {
		io.WriteString(conn, text)
		silent(conn)
	}
}

// answers sends a text after the request, and closes the connection.
func answers(text string) func(net.Conn) {
	return func(conn net.Conn) {
		conn.Read(make([]byte, 4096))
		io.WriteString(conn, text)
	}
}

// dribbles sends a text byte by byte, for ever.
func dribbles(text string) func(net.Conn) {
	return func(conn net.Conn) {
		for i := 0; ; i++ {
			if _, err := io.WriteString(conn, text[i%len(text):i%len(text)+1]); err != nil {
				return
			}
			time.Sleep(soon / 50)
		}
	}
}

// floods sends a text for ever.
func floods(first, text string) func(net.Conn) {
	return func(conn net.Conn) {
		_, err := io.WriteString(conn, first)
		for err == nil {
			_, err = io.WriteString(conn, text)
		}
	}
}

// load loads nft rules on a host.
func load(t *testing.T, h *netlab.Host, rules string) {
	t.Helper()
	if _, err := h.Run(t.Context(), rules, "nft", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}
