package delegate

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"sync"
	"time"

	"farmc/cmd/internal/peer"
)

// A Handler runs a command with this output, and returns its exit status. It returns false, without output, for a
// command that the client has to run itself.
type Handler func(ctx context.Context, r Request, stdout, stderr io.Writer) (status int, runs bool)

// Limits of a server: commands at the same time, and the time to send a request.
const (
	maxCommands    = 64
	requestTimeout = 5 * time.Second
)

// Serve runs commands until ctx ends, and then waits for those in progress. It closes the listener.
func Serve(ctx context.Context, listener *net.UnixListener, run Handler) {
	peer.Serve(ctx, listener, maxCommands, func(c *net.UnixConn) { serve(ctx, c, run) }, decline)
}

// serve runs the command of one connection.
func serve(ctx context.Context, conn *net.UnixConn, run Handler) {
	conn.SetReadDeadline(time.Now().Add(requestTimeout))
	var r Request
	requests := json.NewDecoder(io.LimitReader(conn, maxRequest))
	if !isSameUser(conn) || requests.Decode(&r) != nil {
		decline(conn)
		return
	}
	conn.SetReadDeadline(time.Time{})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		io.Copy(io.Discard, conn) // until the client closes its side
		cancel()
	}()
	frames := &frameWriter{to: conn}
	status, runs := run(ctx, r, stream{frames, func(f *frame) *[]byte { return &f.Stdout }},
		stream{frames, func(f *frame) *[]byte { return &f.Stderr }})
	if !runs {
		decline(conn)
		return
	}
	frames.send(frame{Status: &status})
}

func decline(conn *net.UnixConn) {
	conn.SetWriteDeadline(time.Now().Add(requestTimeout))
	json.NewEncoder(conn).Encode(frame{Decline: true})
}

// A frameWriter sends frames of several streams.
type frameWriter struct {
	mu sync.Mutex
	to *net.UnixConn
}

// writeTimeout is the time that a client has to read a frame. A stopped client must not keep a command from ending.
const writeTimeout = 10 * time.Second

func (w *frameWriter) send(f frame) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.to.SetWriteDeadline(time.Now().Add(writeTimeout))
	return json.NewEncoder(w.to).Encode(f)
}

// A stream is standard output or standard error of a command.
type stream struct {
	frames *frameWriter
	field  func(*frame) *[]byte
}

func (s stream) Write(text []byte) (int, error) {
	var f frame
	*s.field(&f) = bytes.Clone(text)
	if err := s.frames.send(f); err != nil {
		return 0, err
	}
	return len(text), nil
}
