package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"farmc/cmd/internal/peer"
)

// A Handler answers a request. The context ends when the client leaves.
type Handler func(ctx context.Context, w http.ResponseWriter, r Request)

// A Server answers the requests of a front.
type Server struct {
	Users  []uint32 // that may connect, beside root and the user of this process
	Handle Handler
	Log    func(format string, args ...any)

	bodies atomic.Int64 // bytes of all bodies in memory
}

// Limits of a server, which hold even if the front is not the program that it should be.
const (
	maxRequests = 256 // at the same time; the front has 200 connections
	maxBodies   = 2 * MaxBody
)

// Serve answers requests until ctx ends, and then ends all requests within a second. It closes the listener.
func (s *Server) Serve(ctx context.Context, l net.Listener) {
	peer.Serve(ctx, l, maxRequests, func(c *net.UnixConn) { s.serve(ctx, c) }, func(c *net.UnixConn) {
		_ = c.SetWriteDeadline(time.Now().Add(endTime))
		_ = writeFrame(c, kindBusy, nil)
	})
}

// serve answers the request of one connection.
func (s *Server) serve(ctx context.Context, conn *net.UnixConn) {
	defer context.AfterFunc(ctx, func() { time.AfterFunc(endTime, func() { conn.Close() }) })()
	if err := admit(conn, s.Users); err != nil {
		s.Log("API: %v", err)
		return
	}
	_ = conn.SetDeadline(time.Now().Add(sendTime))
	r, err := s.read(conn)
	defer s.bodies.Add(-int64(len(r.Body)))
	switch {
	case errors.Is(err, ErrBusy):
		_ = writeFrame(conn, kindBusy, nil)
		return
	case err != nil:
		s.Log("API: a request of farmc api: %v", err)
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	_ = conn.SetWriteDeadline(time.Now().Add(answerTime))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = conn.Read(make([]byte, 1)) // until the front closes the connection: nothing follows a request
		cancel()
	}()
	s.answer(ctx, newReply(conn, r.Method == http.MethodHead), r)
}

// answer calls the handler. A panic ends only this request, as in net/http.
func (s *Server) answer(ctx context.Context, w *reply, r Request) {
	defer func() {
		if cause := recover(); cause != nil && cause != http.ErrAbortHandler {
			s.Log("API: panic: %v\n%s", cause, debug.Stack())
		}
	}()
	s.Handle(ctx, w, r)
	w.end()
}

// read reads a request. The bytes of its body are counted.
func (s *Server) read(from io.Reader) (r Request, err error) {
	k, payload, err := readFrame(from)
	if err == nil && k != kindRequest {
		err = fmt.Errorf("a frame %q in place of a request", k)
	}
	if err == nil {
		err = decode(payload, &r)
	}
	if err == nil {
		err = r.validate()
	}
	if err != nil {
		return Request{}, err
	}
	if s.bodies.Add(int64(r.Size)) > maxBodies {
		s.bodies.Add(-int64(r.Size))
		return Request{}, ErrBusy
	}
	r.Body = make([]byte, r.Size)
	_, err = io.ReadFull(from, r.Body)
	return r, err
}

// admit returns an error unless the other side runs as root, as this user, or as one of users.
func admit(conn *net.UnixConn, users []uint32) error {
	user, err := peer.User(conn)
	if err != nil {
		return err
	}
	if peer.IsOwn(user) || slices.Contains(users, user) {
		return nil
	}
	return fmt.Errorf("the user %d is not that of farmc api", user)
}
