package relay

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// A replyHead begins a reply.
type replyHead struct {
	Status int         `json:"status"`
	Header http.Header `json:"header"`
}

func (h *replyHead) decode(payload []byte) error {
	if err := decode(payload, h); err != nil {
		return err
	}
	if h.Status < 200 || h.Status > 599 {
		return fmt.Errorf("status %d", h.Status)
	}
	return nil
}

// write sends the head to a client. Its headers take the place of headers that are set.
func (h *replyHead) write(w http.ResponseWriter) {
	for name, values := range h.Header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	w.WriteHeader(h.Status)
}

// bodiless reports whether replies of the status have no data (RFC 9110).
func (h *replyHead) bodiless() bool {
	return h.Status == http.StatusNoContent || h.Status == http.StatusNotModified
}

// A reply sends the reply of a handler in frames. One goroutine may use it. It has the methods that
// http.ResponseController calls.
type reply struct {
	conn   net.Conn
	out    *bufio.Writer
	head   replyHead // Status 0: not sent
	isHead bool      // no data is sent
	err    error     // the first error
}

var _ interface {
	http.ResponseWriter
	FlushError() error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
} = (*reply)(nil)

func newReply(conn net.Conn, isHead bool) *reply {
	return &reply{conn: conn, out: bufio.NewWriterSize(conn, headerSize+maxData), isHead: isHead,
		head: replyHead{Header: http.Header{}}}
}

// Header returns the headers. Changes after the first data have no effect.
func (w *reply) Header() http.Header { return w.head.Header }

// WriteHeader sends the head of the reply.
func (w *reply) WriteHeader(status int) {
	if w.head.Status != 0 {
		return
	}
	w.head.Status = status
	payload, err := encode(w.head)
	if err != nil {
		panic(err)
	}
	w.send(kindHead, payload)
}

// Write sends data, in frames of the largest size that is allowed.
func (w *reply) Write(data []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.isHead || w.head.bodiless() {
		return len(data), w.err
	}
	for rest := data; len(rest) > 0; {
		n := min(len(rest), maxData)
		w.send(kindData, rest[:n])
		rest = rest[n:]
	}
	if w.err != nil {
		return 0, w.err
	}
	return len(data), nil
}

// FlushError sends all data to the client.
func (w *reply) FlushError() error {
	w.WriteHeader(http.StatusOK)
	w.send(kindFlush, nil)
	return w.flush()
}

// Flush is FlushError without its error.
func (w *reply) Flush() { _ = w.FlushError() }

// SetReadDeadline has no effect: the front has read the whole request.
func (w *reply) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline sets the deadline of both connections.
func (w *reply) SetWriteDeadline(t time.Time) error {
	err := w.conn.SetWriteDeadline(t)
	w.send(kindWriteDeadline, encodeDeadline(t))
	return errors.Join(err, w.flush())
}

// end completes the reply.
func (w *reply) end() {
	w.WriteHeader(http.StatusOK)
	w.send(kindEnd, nil)
	_ = w.flush()
}

func (w *reply) send(k kind, payload []byte) {
	if w.err == nil {
		w.err = writeFrame(w.out, k, payload)
	}
}

func (w *reply) flush() error {
	if w.err == nil {
		w.err = w.out.Flush()
	}
	return w.err
}
