package probe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
)

// tcp opens a connection. With bytes to send or to expect it uses the connection.
func (c *check) tcp() Result {
	if c.Check.Send == "" && c.Check.Expect == "" {
		return c.handshake()
	}
	conn, err := c.dial("tcp")
	if err != nil {
		return c.failed(err, noConnection)
	}
	defer conn.Close()
	return c.talk(conn, "connected")
}

// handshake opens a connection and resets it. The program of the backend never sees it, because the handshake is never
// complete there.
func (c *check) handshake() Result {
	conn, err := c.connect("tcp")
	if err != nil {
		return c.failed(err, noConnection)
	}
	conn.Close()
	return healthy("connected")
}

// talk sends bytes, and waits for the expected ones. Without expected bytes the answer is not waited for.
func (c *check) talk(conn net.Conn, connected string) Result {
	if _, err := io.WriteString(conn, string(c.Check.Send)); err != nil {
		return c.failed(err, noAnswer)
	}
	if c.Check.Expect == "" {
		return healthy("%s", connected)
	}
	return c.await(conn)
}

// maxReply is the number of bytes in which the expected ones are looked for.
const maxReply = 4 << 10

// await reads until the expected bytes have come.
func (c *check) await(conn net.Conn) Result {
	received := make([]byte, 0, 512)
	for len(received) < maxReply {
		if len(received) == cap(received) {
			received = append(received, 0)[:len(received)]
		}
		n, err := conn.Read(received[len(received):cap(received)])
		received = received[:len(received)+n]
		switch {
		case bytes.Contains(received, []byte(c.Check.Expect)):
			return healthy("expected answer")
		case err != nil && len(received) == 0:
			return c.failed(err, noAnswer)
		case err != nil:
			return c.unexpected(err, len(received))
		}
	}
	return unhealthy("expected text is not in the first %d bytes", maxReply)
}

// unexpected returns the result for an answer without the expected bytes that an error has ended.
func (c *check) unexpected(err error, received int) Result {
	switch {
	case isTimeout(err):
		return c.failed(err, fmt.Sprintf("%d bytes without the expected text", received))
	case errors.Is(err, io.EOF):
		return unhealthy("%d bytes without the expected text", received)
	}
	return c.failed(err, noAnswer)
}
