package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// An Address is a unix socket or an address of the network.
type Address struct {
	Path string         // of a unix socket; "": TCP
	TCP  netip.AddrPort // if Path is ""
}

// ParseAddress reads an address such as unix:/run/farmc/api.sock, 127.0.0.1:5555, [::1]:5555 or :5555.
func ParseAddress(text string) (Address, error) {
	if path, isUnix := strings.CutPrefix(text, "unix:"); isUnix {
		if !filepath.IsAbs(path) || len(path) > maxSocketPath {
			return Address{}, fmt.Errorf("%q: the path of a unix socket begins with / and has at most %d bytes", text,
				maxSocketPath)
		}
		return Address{Path: path}, nil
	}
	if strings.HasPrefix(text, ":") {
		text = "[::]" + text
	}
	tcp, err := netip.ParseAddrPort(text)
	if err != nil || tcp.Port() == 0 {
		return Address{}, fmt.Errorf("%q is not an address such as unix:/run/farmc/api.sock, 127.0.0.1:5555 or "+
			"[::1]:5555", text)
	}
	return Address{TCP: tcp}, nil
}

// maxSocketPath is the length of the longest path of a unix socket, in bytes (unix(7)).
const maxSocketPath = 107

// String returns the address in the form that ParseAddress reads.
func (a Address) String() string {
	if a.Path != "" {
		return "unix:" + a.Path
	}
	return a.TCP.String()
}

// Remote reports whether other machines can connect.
func (a Address) Remote() bool { return a.Path == "" && !a.TCP.Addr().Unmap().IsLoopback() }

// AddressOf returns the address of a listener that another program opened.
func AddressOf(l net.Listener) (Address, error) {
	switch at := l.Addr().(type) {
	case *net.UnixAddr:
		return Address{Path: at.Name}, nil
	case *net.TCPAddr:
		return Address{TCP: at.AddrPort()}, nil
	}
	return Address{}, fmt.Errorf("%s is neither a unix socket nor TCP", l.Addr())
}

// Listen listens on an address.
func Listen(ctx context.Context, a Address) (net.Listener, error) {
	if a.Path == "" {
		return new(net.ListenConfig).Listen(ctx, "tcp", a.TCP.String())
	}
	return listenUnix(ctx, a.Path)
}

// WithTLS returns a listener that speaks TLS.
func WithTLS(l net.Listener, c *Certificate) net.Listener { return tls.NewListener(l, c.config()) }

// listenUnix listens on a unix socket that root and the group farmc can connect to. A socket that a killed process left
// is replaced.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	private := net.ListenConfig{Control: ownerOnly}
	l, err := private.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := share(path); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// ownerOnly sets the mode of a unix socket before it has a name: bind applies the umask to it.
func ownerOnly(_, _ string, socket syscall.RawConn) (err error) {
	failed := socket.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) })
	return errors.Join(failed, err)
}

// removeStale removes a socket that no process listens on.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("%s exists and is not a socket", path)
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		c.Close()
		return fmt.Errorf("listen on %s: %w", path, unix.EADDRINUSE)
	}
	return os.Remove(path)
}

// group is the group of users who may connect to the unix socket.
const group = "farmc"

// share gives the socket to the group, if it exists. The socket had mode 0600 when it was made. The sandbox of
// farmc-watch.service forbids that: there the socket has the group only in a directory with the set-group-ID bit.
func share(path string) error {
	g, err := user.LookupGroup(group)
	if err != nil {
		return nil // without the group, only the owner can connect
	}
	id, err := strconv.Atoi(g.Gid)
	if err != nil {
		return err
	}
	if groupOf(path) != id {
		err = os.Lchown(path, -1, id)
	}
	if errors.Is(err, unix.EPERM) {
		return nil // only the owner can connect
	}
	return errors.Join(err, os.Chmod(path, 0o660))
}

// groupOf returns the group of a file; -1 if it is not known.
func groupOf(path string) int {
	info, err := os.Lstat(path)
	if err != nil {
		return -1
	}
	return int(info.Sys().(*syscall.Stat_t).Gid)
}
