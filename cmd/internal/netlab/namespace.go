package netlab

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// ErrUnavailable is the error of New and Enter if this process may not create network namespaces.
var ErrUnavailable = errors.New("no network namespaces here")

// A namespace is a network namespace that lives as long as this file is open, or a socket or thread is in it.
type namespace struct{ file *os.File }

// newNamespace creates a namespace, on a thread that ends if it cannot return to its own.
func newNamespace() (ns namespace, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = within(func() error { return unix.Unshare(unix.CLONE_NEWNET) }, func() (err error) {
			ns.file, err = os.Open(ownNamespace)
			return err
		})
	}()
	<-done
	if err != nil {
		return ns, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return ns, nil
}

// do calls f on a thread that is in the namespace. Goroutines that f starts are not in it.
func (ns namespace) do(f func() error) error {
	return within(func() error { return unix.Setns(int(ns.file.Fd()), unix.CLONE_NEWNET) }, f)
}

const ownNamespace = "/proc/thread-self/ns/net"

// within locks the thread, enters a namespace, calls f, and returns to the namespace before. A thread that cannot
// return stays locked, so it ends with its goroutine.
func within(enter, f func() error) (err error) {
	runtime.LockOSThread()
	before, err := unix.Open(ownNamespace, unix.O_RDONLY|unix.O_CLOEXEC, 0) // os.Open would ask epoll for it, too
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open %s: %w", ownNamespace, err)
	}
	defer unix.Close(before)
	if err := enter(); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter a network namespace: %w", err)
	}
	defer func() {
		if back := unix.Setns(before, unix.CLONE_NEWNET); back != nil {
			err = errors.Join(err, fmt.Errorf("leave a network namespace: %w", back))
			return
		}
		runtime.UnlockOSThread()
	}()
	return f()
}
