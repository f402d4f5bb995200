package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"farmc/cmd/internal/event"
)

// heartbeatTime is the time between two comments on a stream without events. It shows both sides that the connection
// works.
const heartbeatTime = 15 * time.Second

// streamWriteTime is the time in which a client must take events. A client that does not loses its connection, and can
// resume with Last-Event-ID.
const streamWriteTime = 10 * time.Second

// An eventWriter writes events to a client.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	within  time.Duration // the client must take each piece
}

// stream serves a request for events. It gives the connection one of the slots of streams, and ends the answer when the
// server ends or the key is deleted. The process with the sockets does it, which need not be the one with the events.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	valid := func() bool {
		key, ok := s.identify(r)
		return ok && key.May(eventsNeed, "")
	}
	s.streamWhile(w, r, valid, func(ctx context.Context) { s.mux.ServeHTTP(w, r.WithContext(ctx)) })
}

// streamWhile gives an answer with events one of the slots of streams. Its context ends with the server, or once valid
// is false.
func (s *Server) streamWhile(w http.ResponseWriter, r *http.Request, valid func() bool, answer func(context.Context)) {
	leave, ok := s.conns.beginStream(connOf(r.Context()))
	if !ok {
		s.refuse(w, r, problem{status: http.StatusServiceUnavailable, message: "too many clients follow the events"})
		return
	}
	defer leave()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ending, cancel)()
	go s.watch(ctx, cancel, valid)
	answer(ctx)
}

// watch calls lost when the key of a request no longer permits events.
func (s *Server) watch(ctx context.Context, lost func(), permits func() bool) {
	beat := time.NewTicker(s.heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			if !permits() {
				lost()
				return
			}
		}
	}
}

// events answers with server-sent events until the request ends.
func (s *Server) events(w http.ResponseWriter, r *http.Request) error {
	if s.Events == nil {
		return errNoRoute
	}
	w.Header().Set("Content-Type", eventStream)
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		s.follow(r, eventWriter{w, http.NewResponseController(w), s.streamWrite})
	}
	return nil
}

// cursor returns the place in the stream that the request asks for.
func (s *Server) cursor(r *http.Request) *event.Cursor {
	if ids := r.Header.Values("Last-Event-ID"); len(ids) > 0 {
		return s.Events.After(ids[0])
	}
	return s.Events.Follow()
}

// follow writes events, and a heartbeat where there is none for long.
func (s *Server) follow(r *http.Request, out eventWriter) {
	for cursor := s.cursor(r); ; {
		events, more := cursor.Take()
		if out.writeEvents(events) != nil || !event.Wait(r.Context(), more, s.heartbeat) {
			return
		}
	}
}

// writeEvents writes events, or a heartbeat if there are none.
func (out eventWriter) writeEvents(events []event.Event) error {
	if len(events) == 0 {
		return out.write(":\n\n")
	}
	var text strings.Builder
	for _, e := range events {
		if e.ID != "" {
			fmt.Fprintf(&text, "id: %s\n", e.ID)
		}
		fmt.Fprintf(&text, "event: %s\ndata: %s\n\n", e.Kind, e.Data)
	}
	return out.write(text.String())
}

func (out eventWriter) write(text string) error {
	_ = out.control.SetWriteDeadline(time.Now().Add(out.within))
	if _, err := out.w.Write([]byte(text)); err != nil {
		return err
	}
	return out.control.Flush()
}
