package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"farmc/cmd/internal/peer"
)

// A conn is a connection of a client.
type conn struct {
	net.Conn          // with TLS, the TLS connection
	raw      net.Conn // below TLS
	peer     string   // address without port, network of IPv6, or user of a unix socket
	isRoot   bool     // root on a unix socket
	began    time.Time
	busy     atomic.Bool // a request with a valid key is being answered
	left     func(*conn) // called once at the end
	once     sync.Once

	mu   sync.Mutex
	head []byte // first bytes since the last request
	late bool   // the head of a request did not come in time: the client has its answer
}

// newConn wraps a connection. A Conn with TLS is stacked on the raw connection.
func newConn(stacked, raw net.Conn, left func(*conn)) *conn {
	c := &conn{Conn: stacked, raw: raw, began: time.Now(), left: left}
	c.peer, c.isRoot = identifyPeer(raw)
	return c
}

// identifyPeer names a peer so that connections from all ports of a client have one peer.
func identifyPeer(c net.Conn) (name string, isRoot bool) {
	if local, isUnix := c.(*net.UnixConn); isUnix {
		uid, err := peer.User(local)
		if err != nil {
			return "an unknown user", false
		}
		return fmt.Sprintf("user %d", uid), uid == 0
	}
	address, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return c.RemoteAddr().String(), false
	}
	ip := address.Addr().Unmap().WithZone("")
	if ip.Is6() && !ip.IsLoopback() {
		network, _ := ip.Prefix(64)
		return network.String(), false
	}
	return ip.String(), false
}

func (c *conn) setBusy(busy bool) { c.busy.Store(busy) }

// Read records the head of each request. It answers 408 if a head does not come in time: net/http takes a part of a
// header for a malformed one, and would answer 400.
func (c *conn) Read(into []byte) (int, error) {
	n, err := c.Conn.Read(into)
	c.mu.Lock()
	defer c.mu.Unlock()
	if room := maxHeader + headerSlop - len(c.head); room > 0 {
		c.head = append(c.head, into[:min(n, room)]...)
	}
	isPart := len(c.head) > 0 && !endOfHead.Match(c.head)
	if errors.Is(err, os.ErrDeadlineExceeded) && isPart && !c.late {
		c.late = true
		_ = c.Conn.SetWriteDeadline(time.Now().Add(lateWrite))
		_, _ = io.WriteString(c.Conn, lateHead)
	}
	return n, err
}

// Write writes an answer, unless the client has the one about a head that did not come in time.
func (c *conn) Write(text []byte) (int, error) {
	c.mu.Lock()
	late := c.late
	c.mu.Unlock()
	if late {
		return len(text), nil
	}
	return c.Conn.Write(text)
}

// lateHead is the answer to a head that did not come in time.
var lateHead = fmt.Sprintf("HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"+
	"Connection: close\r\n\r\n%s", len(lateDocument), lateDocument)

const (
	lateDocument = `{"error":"Request Timeout"}` + "\n"
	lateWrite    = time.Second // for lateHead: a client that reads nothing keeps no goroutine for longer
)

var (
	endOfHead  = regexp.MustCompile(`\r?\n\r?\n`)
	lengthLine = regexp.MustCompile(`(?i)\ncontent-length[ \t]*:`)
)

// sentLength reports whether the head of the request has a Content-Length. net/http drops the header beside a
// Transfer-Encoding. The head of a request that was sent before the answer to the last one is not known; such a
// connection ends after a request with Transfer-Encoding, so no second request follows it.
func (c *conn) sentLength() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	head := c.head
	if end := endOfHead.FindIndex(head); end != nil {
		head = head[:end[0]]
	}
	return lengthLine.Match(head)
}

// Close closes the connection.
func (c *conn) Close() error {
	c.once.Do(func() { c.left(c) })
	return c.Conn.Close()
}

// abort closes the connection without a word to the client, which may not read.
func (c *conn) abort() {
	c.once.Do(func() { c.left(c) })
	_ = c.raw.Close()
}

// forgetRequest forgets the head of a request that was answered.
func forgetRequest(c net.Conn, state http.ConnState) {
	if own, ok := c.(*conn); ok && state == http.StateIdle {
		own.mu.Lock()
		own.head = own.head[:0]
		own.mu.Unlock()
	}
}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connContext, c)
}

// connOf returns the connection of a request; nil in tests without one.
func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connContext).(*conn)
	return c
}
