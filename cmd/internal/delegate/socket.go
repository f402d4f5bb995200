package delegate

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"farmc/cmd/internal/peer"
)

// withSocket calls f with a path of the socket that fits into a socket address, which holds 107 bytes only: a longer
// path is reached by the descriptor of its directory.
func withSocket(dir string, f func(path string) error) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return f(fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), Name))
}

// Dial connects to the server of a directory.
func dial(dir string) (conn *net.UnixConn, err error) {
	err = withSocket(dir, func(path string) error {
		conn, err = net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
		return err
	})
	return conn, err
}

// ErrServed reports that another process serves the directory.
var ErrServed = errors.New("another process serves commands")

// Listen creates the socket in a directory, for this user alone. A socket that a killed process left is replaced.
func Listen(dir string) (listener *net.UnixListener, err error) {
	if conn, err := dial(dir); err == nil {
		return nil, errors.Join(ErrServed, conn.Close())
	}
	os.Remove(filepath.Join(dir, Name))
	err = withSocket(dir, func(path string) error {
		mask := unix.Umask(0o177) // the socket must never be open to others
		defer unix.Umask(mask)
		listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		return err
	})
	if err == nil {
		listener.SetUnlinkOnClose(false) // the path in the listener is that of a closed descriptor
	}
	return listener, err
}

// isSameUser reports whether the other side runs as this user or as root.
func isSameUser(conn *net.UnixConn) bool {
	user, err := peer.User(conn)
	return err == nil && peer.IsOwn(user)
}
