package relay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Errors of Do. They wrap the cause.
var (
	ErrNoServer = errors.New("farmc watch does not answer the API")               // the request did not run
	ErrBusy     = errors.New("farmc watch has too many requests")                 // the request did not run
	ErrBroken   = errors.New("farmc watch broke off; the effect is not known")    // no reply has begun
	ErrCut      = errors.New("farmc watch broke off in the middle of the answer") // the reply has begun
)

// Do has the server of a socket answer a request. With ErrCut, w has a part of the reply.
func Do(ctx context.Context, socket string, r Request, w http.ResponseWriter) error {
	head, err := r.head()
	if err != nil {
		return err
	}
	conn, err := dial(ctx, socket)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoServer, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	_ = conn.SetWriteDeadline(time.Now().Add(sendTime))
	sent := make(chan error, 1)
	go func() { sent <- r.send(conn, head) }()
	err = copyReply(w, bufio.NewReader(conn))
	conn.Close()
	if sendErr := <-sent; err != nil && sendErr != nil {
		return fmt.Errorf("%w: %w", err, sendErr)
	}
	return err
}

// head returns the payload of the first frame.
func (r Request) head() ([]byte, error) {
	if !r.isText() {
		return nil, ErrText
	}
	r.Size = len(r.Body)
	return encode(r)
}

func (r Request) send(to io.Writer, head []byte) error {
	if err := writeFrame(to, kindRequest, head); err != nil {
		return err
	}
	_, err := to.Write(r.Body)
	return err
}

// dial connects to the socket of a server that runs as root or as this user.
func dial(ctx context.Context, socket string) (*net.UnixConn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	conn := c.(*net.UnixConn)
	if err := admit(conn, nil); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// copyReply copies a reply to a client.
func copyReply(w http.ResponseWriter, from io.Reader) error {
	begun := false
	for {
		k, payload, err := readFrame(from)
		switch {
		case err != nil:
		case k == kindEnd && begun:
			return nil
		case k == kindBusy && !begun:
			return ErrBusy
		default:
			err = apply(w, k, payload, &begun)
		}
		if err != nil && begun {
			return fmt.Errorf("%w: %w", ErrCut, err)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBroken, err)
		}
	}
}

// apply applies a frame in the middle of a reply. Deadlines can precede the head.
func apply(w http.ResponseWriter, k kind, payload []byte, begun *bool) error {
	control := http.NewResponseController(w)
	switch {
	case k == kindHead && !*begun:
		var h replyHead
		if err := h.decode(payload); err != nil {
			return err
		}
		*begun = true
		h.write(w)
		return nil
	case k == kindData && *begun:
		_, err := w.Write(payload)
		return err
	case k == kindFlush && *begun:
		return control.Flush()
	case k == kindWriteDeadline:
		t, err := decodeDeadline(payload)
		if err != nil {
			return err
		}
		return control.SetWriteDeadline(t)
	}
	return fmt.Errorf("a frame %q out of order", k)
}
