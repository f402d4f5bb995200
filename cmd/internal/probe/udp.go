package probe

import (
	"bytes"
	"io"
	"net"

	"farmc/compiler/toml"
)

// udp sends a datagram. A reply has the expected bytes. If none are expected, only a message of ICMP is unhealthy, so
// silence until the timeout is healthy.
func (c *check) udp() Result {
	conn, err := c.dial("udp")
	if err != nil {
		return c.failed(err, noAnswer)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, string(c.Check.Send)); err != nil {
		return c.failed(err, noAnswer)
	}
	return c.datagram(conn)
}

// datagram judges the first reply.
func (c *check) datagram(conn net.Conn) Result {
	reply := make([]byte, maxReply)
	n, err := conn.Read(reply)
	switch {
	case isTimeout(err) && c.Check.Expect == "":
		return healthy("no error in %s", toml.FormatDuration(c.Check.Timeout))
	case err != nil:
		return c.failed(err, noAnswer)
	case !bytes.Contains(reply[:n], []byte(c.Check.Expect)):
		return unhealthy("%d bytes without the expected text", n)
	}
	return healthy("answered")
}
