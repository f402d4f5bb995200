package peer

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"testing"
)

// Serve refuses connections beyond its number, takes one again when another has ended, and waits at its end.
func TestServe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan struct{})
	echo := func(c *net.UnixConn) { _, _ = io.Copy(c, c) }
	refuse := func(c *net.UnixConn) { _, _ = io.WriteString(c, "no") }
	go func() {
		defer close(ended)
		Serve(ctx, l, 1, echo, refuse)
	}()
	first := ask(t, path, "a")
	if got := ask(t, path, ""); read(got) != "n" {
		t.Error("a second connection is not refused")
	}
	if read(first) != "a" {
		t.Error("the first connection has no answer")
	}
	first.Close()
	var next net.Conn
	for next = ask(t, path, "b"); read(next) != "b"; next = ask(t, path, "b") { // until the first one has ended
		next.Close()
	}
	end()
	select {
	case <-ended:
		t.Error("Serve ends before its connection")
	default:
	}
	next.Close()
	<-ended
	if _, err := net.Dial("unix", path); err == nil {
		t.Error("the listener is open at the end")
	}
}

// ask connects, and sends a text.
func ask(t *testing.T, path, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, text) // an error if the connection was refused
	return c
}

// read returns the first byte of an answer.
func read(c net.Conn) string {
	var text [1]byte
	n, _ := c.Read(text[:])
	return string(text[:n])
}
