package probe

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"farmc/compiler/toml"
)

// A fault is the words for an error of the network. Faults of this machine say nothing about the backend.
type fault struct {
	err    error
	words  string
	itsOwn bool // this machine's
}

var faults = [...]fault{
	{syscall.ECONNREFUSED, "connection refused", false},
	{syscall.ECONNRESET, "connection reset", false},
	{syscall.EPIPE, "connection reset", false},
	{syscall.EHOSTUNREACH, "host unreachable", false},
	{syscall.EHOSTDOWN, "host unreachable", false},
	{syscall.ENETUNREACH, "network unreachable", false},
	{syscall.EINVAL, "network unreachable", false}, // a route of type blackhole
	{syscall.EACCES, "prohibited by a route or firewall", false},
	{syscall.EPROTO, "protocol unreachable", false},
	{syscall.ENOPROTOOPT, "protocol unreachable", false},
	{syscall.EMSGSIZE, "datagram too long for the path", false},
	{io.EOF, "connection closed without an answer", false},
	{io.ErrUnexpectedEOF, "connection closed within the answer", false},
	{syscall.EPERM, "prohibited by the rules of this machine", true}, // a datagram that the hook output drops
	{syscall.EADDRNOTAVAIL, "source address is not on this machine", true},
	{syscall.EMFILE, "too many open files", true},
	{syscall.ENFILE, "too many open files", true},
	{syscall.ENOBUFS, "no memory for a socket", true},
	{syscall.ENOMEM, "no memory for a socket", true},
	{syscall.EAFNOSUPPORT, "no such address family on this machine", true},
}

// failed returns the result for an error of the network. Missing is what did not come within the timeout.
func (c *check) failed(err error, missing string) Result {
	if isTimeout(err) {
		return unhealthy("%s in %s", missing, toml.FormatDuration(c.Check.Timeout))
	}
	for _, f := range faults {
		switch {
		case !errors.Is(err, f.err):
		case f.itsOwn:
			return unknown("%s", f.words)
		default:
			return unhealthy("%s", f.words)
		}
	}
	return unhealthy("%s", printable(err.Error(), LongestReason))
}

// The things that miss a timeout.
const (
	noConnection = "no connection"
	noAnswer     = "no answer"
	noWhole      = "no complete answer"
)

func isTimeout(err error) bool {
	var e net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &e) && e.Timeout()
}
