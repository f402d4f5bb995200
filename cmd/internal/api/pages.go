package api

import (
	"context"
	"crypto/tls"
	"net/http"
	"strings"

	"farmc/cmd/internal/apikey"
	"farmc/cmd/internal/relay"
)

// pagesPath is the path of the pages for browsers. They check keys themselves: a browser has a session and no header.
const pagesPath = "/ui/"

// isPage reports whether a path is one of a page.
func isPage(path string) bool { return strings.HasPrefix(path, pagesPath) || path+"/" == pagesPath }

// withTLS returns the request with the state of its TLS connection, which net/http does not see below the limits of
// this package.
func withTLS(r *http.Request) *http.Request {
	if c := connOf(r.Context()); c != nil {
		if over, is := c.Conn.(*tls.Conn); is {
			state := over.ConnectionState()
			r.TLS = &state
		}
	}
	return r
}

// Ask answers a request of a page for a key, as ServeHTTP answers one of a program: the route checks the permission of
// the key. The request has not passed HTTP, and needs no key of its own.
func (s *Server) Ask(ctx context.Context, w http.ResponseWriter, in relay.Request) error {
	if c := connOf(ctx); c != nil {
		c.setBusy(true)
		defer c.setBusy(false)
	}
	return s.ask(ctx, w, in)
}

// askHere answers in this process.
func (s *Server) askHere(ctx context.Context, w http.ResponseWriter, in relay.Request) error {
	s.answerRelayed(ctx, w, in)
	return nil
}

// ask answers in the process behind the socket.
func (f *forwarder) ask(ctx context.Context, w http.ResponseWriter, in relay.Request) error {
	err := relay.Do(ctx, f.socket, in, w)
	if err != nil && ctx.Err() == nil {
		f.unreachable.printf("API: %v", err)
	}
	return err
}

// Follow answers the request of a page with events, until the client leaves, the server ends, or valid is false.
func (s *Server) Follow(w http.ResponseWriter, r *http.Request, key apikey.Key, valid func() bool) {
	q := relay.Request{Method: r.Method, Path: eventsPath, Header: relay.Chosen(r.Header), Key: key}
	s.streamWhile(w, r, valid, func(ctx context.Context) {
		err := s.ask(ctx, w, q)
		if err != nil && w.Header().Get("Content-Type") != eventStream {
			s.refuse(w, r, problemIn(err))
		}
	})
}

// problemIn is relayProblem for an answer that has not begun.
func problemIn(err error) problem {
	return problem{status: http.StatusServiceUnavailable, message: err.Error()}
}

// Guessed logs a request with a wrong key in a form of a page, and waits as for a wrong key in a header.
func (s *Server) Guessed(r *http.Request) { s.failed.guessed(r) }
