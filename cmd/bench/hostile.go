package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// hostileTarget is where the API answers hostile clients. The measured requests come through its unix socket.
var hostileTarget = netip.MustParseAddrPort("127.0.0.1:5555")

// hostileRequests are requests that cost their sender little, with a key that may write. The first one claims a body of
// 100 MB; the others have bodies as large as the API reads, and a path.
func (w *managedWatch) hostileRequests() []string {
	return []string{
		w.hostileRequest(100<<20, `{"weight": 1}`+strings.Repeat(" ", 1<<20)),
		w.hostileRequest(1<<20, strings.Repeat(`{"a":[`, 1<<20/6+1)),
		w.hostileRequest(1<<20, "{"+strings.Repeat(`"weight":1,`, 1<<20/11+1)),
		w.hostileRequest(1<<20, strings.Repeat("\xff", 1<<20)),
		"GET /v1/farms?select=" + strings.Repeat("%00", 2000) + " HTTP/1.1\r\nHost: farmc\r\nAuthorization: Bearer " +
			w.key + "\r\n\r\n",
	}
}

// hostileRequest returns a change of a farm with a body that has a length by its header.
func (w *managedWatch) hostileRequest(length int, body string) string {
	return fmt.Sprintf("PATCH /v1/farms/farm-00000/backends/b1 HTTP/1.1\r\nHost: farmc\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", w.key, length, body)
}

// makeKey makes the key of hostile clients.
func (w *managedWatch) makeKey() error {
	key, err := exec.Command(w.farmc, "api-key", "attacker", "--role", "write", "--api-keys", w.path("keys")).Output()
	w.key = strings.TrimSpace(string(key))
	return err
}

// dial opens a hostile connection.
func (w *managedWatch) dial() (net.Conn, error) {
	local := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), 0)
	return w.lab.Balancer.Dial("tcp", local, hostileTarget, time.Second)
}

// slowConnections is the number of connections on which a header arrives at a byte per second.
const slowConnections = 1000

// attack has hostile clients ask until end is called: one for each of the hostile requests, which repeats it, and one
// with slow connections.
func (w *managedWatch) attack() (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, request := range w.hostileRequests() {
		all.Go(func() {
			for ctx.Err() == nil {
				w.attackOnce(request)
			}
		})
	}
	all.Go(func() { w.attackSlowly(ctx) })
	return func() {
		cancel()
		all.Wait()
	}
}

// attackOnce sends a request and reads the answer, for a second at most.
func (w *managedWatch) attackOnce(request string) {
	c, err := w.dial()
	if err != nil {
		time.Sleep(10 * time.Millisecond)
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := io.WriteString(c, request); err == nil {
		_, _ = c.Read(make([]byte, 1<<10))
	}
}

// attackSlowly keeps the slow connections open.
func (w *managedWatch) attackSlowly(ctx context.Context) {
	open := make([]net.Conn, slowConnections)
	for {
		for i, c := range open {
			if c != nil {
				if _, err := c.Write([]byte("a")); err == nil {
					continue
				}
				c.Close()
			}
			if open[i], _ = w.dial(); open[i] != nil {
				_, _ = io.WriteString(open[i], "GET / HTTP/1.1\r\nX: ")
			}
		}
		select {
		case <-ctx.Done():
			for _, c := range open {
				if c != nil {
					c.Close()
				}
			}
			return
		case <-time.After(time.Second):
		}
	}
}
