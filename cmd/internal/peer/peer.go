// Package peer serves processes at the other end of unix sockets, and tells their users. It knows no protocol.
package peer

import (
	"errors"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// User returns the user of the process at the other end, as the kernel knows it.
func User(conn *net.UnixConn) (uint32, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var process *unix.Ucred
	var processErr error
	err = raw.Control(func(fd uintptr) {
		process, processErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(err, processErr); err != nil {
		return 0, err
	}
	return process.Uid, nil
}

// IsOwn reports whether a user is root or the user of this process.
func IsOwn(user uint32) bool { return user == 0 || int(user) == os.Geteuid() }
