package api

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
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

// Read records the head of each request.
func (c *conn) Read(into []byte) (int, error) {
	n, err := c.Conn.Read(into)
	c.mu.Lock()
	defer c.mu.Unlock()
	if room := maxHeader + headerSlop - len(c.head); room > 0 {
		c.head = append(c.head, into[:min(n, room)]...)
	}
	return n, err
}

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
