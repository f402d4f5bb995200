package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"farmc/cmd/internal/relay"
)

// NewFront returns a server that hands requests over to the server of a private socket, farmc watch. The front has the
// sockets of clients, TLS, the limits, the keys, and the first check of the route; ServeRelay is the other side. It
// answers healthPath itself, so that a client without a key costs farmc watch nothing.
func NewFront(socket string, keys Keys, logf func(format string, args ...any)) *Server {
	f := &forwarder{socket: socket, unreachable: steadyLog{log: logf}, validate: keyPause}
	return newFront(f, keys, append(Routes(), nftlbRoutes()...))
}

func newFront(f *forwarder, keys Keys, routes []Route) *Server {
	for i := range routes {
		if routes[i].Path != healthPath {
			routes[i].Answer = f.answer
		}
	}
	s := newServer(noFarms{}, keys, f.unreachable.log, routes)
	s.ask = f.ask
	return s
}

// noFarms stands for the farms of a front, which no handler asks.
type noFarms struct{ Farms }

// A forwarder hands requests over.
type forwarder struct {
	socket      string
	unreachable steadyLog
	validate    time.Duration // keyPause
}

// keyPause is the time between two looks at the key of a request that lasts.
const keyPause = 5 * time.Second

// answer reads the body of a request, so that a slow client occupies nothing of farmc watch, and copies the reply.
func (f *forwarder) answer(s *Server, w http.ResponseWriter, r *http.Request) error {
	body, release, err := s.readBody(w, r)
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	go f.watchKey(ctx, s, r, cancel)
	err = relay.Do(ctx, f.socket, relay.Request{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery,
		Header: relay.Chosen(r.Header), Key: keyOf(r.Context()), Body: body}, w)
	switch {
	case err == nil:
		return nil
	case ctx.Err() == nil && !errors.Is(err, relay.ErrText):
		f.unreachable.printf("API: %v", err)
	case errors.Is(err, relay.ErrCut) && w.Header().Get("Content-Type") == eventStream:
		return nil
	case errors.Is(context.Cause(ctx), errDeleted) && !errors.Is(err, relay.ErrCut):
		return problem{status: http.StatusUnauthorized}
	}
	return relayProblem(err)
}

// eventStream is the type of answers that can end anywhere: a client drops half an event, and asks for the next ones.
const eventStream = "text/event-stream"

// errDeleted is the cause of the end of a request that lasts if its key is deleted.
var errDeleted = errors.New("the key was deleted")

// watchKey cancels a request when its key is deleted, or has other permissions.
func (f *forwarder) watchKey(ctx context.Context, s *Server, r *http.Request, cancel context.CancelCauseFunc) {
	known := keyOf(ctx)
	for beat := time.NewTicker(f.validate); ; {
		select {
		case <-ctx.Done():
			beat.Stop()
			return
		case <-beat.C:
			if now, ok := s.identify(r); !ok || !now.Equal(known) {
				cancel(errDeleted)
			}
		}
	}
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
