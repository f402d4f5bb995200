package api

import (
	"errors"
	"net/http"

	"farmc/cmd/internal/relay"
)

// NewFront returns a server that hands requests over to the server of a private socket, farmc watch. The front has the
// sockets of clients, TLS, the limits, the keys, and the first check of the route; ServeRelay is the other side. It
// answers healthPath itself, so that a client without a key costs farmc watch nothing.
func NewFront(socket string, keys Keys, logf func(format string, args ...any)) *Server {
	return newFront(socket, keys, logf, Routes())
}

func newFront(socket string, keys Keys, logf func(format string, args ...any), routes []Route) *Server {
	f := &forwarder{socket: socket, unreachable: steadyLog{log: logf}}
	for i := range routes {
		if routes[i].Path != healthPath {
			routes[i].Answer = f.answer
		}
	}
	return newServer(nil, keys, logf, routes)
}

// A forwarder hands requests over.
type forwarder struct {
	socket      string
	unreachable steadyLog
}

// answer reads the body of a request, so that a slow client occupies nothing of farmc watch, and copies the reply.
func (f *forwarder) answer(s *Server, w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength > maxBody {
		return problem{status: http.StatusRequestEntityTooLarge}
	}
	body, release, err := s.bodies.read(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return err
	}
	defer release()
	err = relay.Do(r.Context(), f.socket, relay.Request{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery,
		Header: relay.Chosen(r.Header), Key: keyOf(r.Context()), Body: body}, w)
	if err != nil && r.Context().Err() == nil && !errors.Is(err, relay.ErrText) {
		f.unreachable.printf("API: %v", err)
	}
	return relayProblem(err)
}

// relayProblem returns the problem of an error of relay.Do. After the beginning of an answer the connection ends.
func relayProblem(err error) error {
	switch {
	case errors.Is(err, relay.ErrCut):
		panic(http.ErrAbortHandler)
	case errors.Is(err, relay.ErrText):
		return malformed("the request has text that is not UTF-8")
	case errors.Is(err, relay.ErrNoServer):
		return problem{status: http.StatusServiceUnavailable, message: relay.ErrNoServer.Error()}
	case errors.Is(err, relay.ErrBusy):
		return problem{status: http.StatusServiceUnavailable, message: relay.ErrBusy.Error()}
	case errors.Is(err, relay.ErrBroken):
		return problem{status: http.StatusBadGateway, message: relay.ErrBroken.Error()}
	}
	return err
}
