package api

import (
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// Numbers of connections that are open at once.
const (
	maxConnections = 100
	maxStreams     = 100 // of clients that follow events, apart from the others
)

// An admission limits the number of connections so that a client that opens many of them hinders only itself. If the
// limit is exceeded, the peer with the most connections loses one: the oldest one without a request that has a valid
// key.
type admission struct {
	limitTo int

	mu    sync.Mutex
	conns []*conn // the oldest first

	streams *admission // of connections that follow events; they are none of conns
}

func newAdmission(limit, streams int) *admission {
	return &admission{limitTo: limit, streams: &admission{limitTo: streams}}
}

// beginStream counts a connection among the streams from now on, and reports whether there is room for it. If the limit
// is exceeded, the peer with the most streams loses its oldest one, as in add.
func (a *admission) beginStream(c *conn) (end func(), ok bool) {
	if c == nil { // a test without a connection
		return func() {}, true
	}
	switch victim := a.streams.add(c); victim {
	case nil:
	case c:
		a.streams.remove(c)
		return nil, false
	default:
		victim.abort()
	}
	a.remove(c)
	return func() { a.streams.remove(c) }, true
}

// forget forgets a connection that ended.
func (a *admission) forget(c *conn) {
	a.remove(c)
	a.streams.remove(c)
}

// add admits a connection, and returns the connection that has to end for it, or nil. The result is the new connection
// itself if its peer has the most connections, and a request is being answered on each of them.
func (a *admission) add(c *conn) (victim *conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conns = append(a.conns, c)
	if len(a.conns) <= a.limitTo {
		return nil
	}
	return a.victim(c)
}

func (a *admission) victim(newest *conn) *conn {
	peer := a.largestPeer()
	var oldest *conn
	for _, c := range a.conns {
		switch {
		case c.peer != peer || c == newest:
		case !c.busy.Load():
			return c
		case oldest == nil:
			oldest = c
		}
	}
	if peer == newest.peer || oldest == nil {
		return newest
	}
	return oldest
}

// largestPeer returns the peer with the most connections.
func (a *admission) largestPeer() (peer string) {
	counts := map[string]int{}
	for _, c := range a.conns {
		if counts[c.peer]++; counts[c.peer] > counts[peer] {
			peer = c.peer
		}
	}
	return peer
}

func (a *admission) remove(gone *conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, c := range a.conns {
		if c == gone {
			a.conns = append(a.conns[:i], a.conns[i+1:]...)
			return
		}
	}
}

// limit returns a listener that admits each connection.
func (a *admission) limit(l net.Listener) net.Listener { return &admittingListener{l, a} }

type admittingListener struct {
	net.Listener
	admission *admission
}

// Accept waits for the next connection that is admitted.
func (l *admittingListener) Accept() (net.Conn, error) {
	for {
		stacked, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		raw := stacked
		if over, isTLS := stacked.(*tls.Conn); isTLS {
			raw = over.NetConn()
		}
		c := newConn(stacked, raw, l.admission.forget)
		victim := l.admission.add(c)
		if victim == c {
			go c.turnAway()
			continue
		}
		if victim != nil {
			victim.abort()
		}
		return c, nil
	}
}

// busyAnswer is the answer to a connection beyond the limit.
const busyAnswer = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n" +
	"Content-Type: application/json\r\nContent-Length: 32\r\n\r\n{\"error\":\"too many connections\"}"

// turnAway ends a connection that is not admitted.
func (c *conn) turnAway() {
	if c.raw == c.Conn {
		_ = c.raw.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = c.raw.Write([]byte(busyAnswer))
	}
	c.abort()
}
