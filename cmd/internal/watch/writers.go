package watch

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// writers remembers files that were written to, and may still be open for writing. Half a file can be a valid farm, so
// a change is not reported before its file is closed. The zero value is ready for use, by several goroutines.
type writers struct {
	mu    sync.Mutex
	files map[string]bool
}

func (u *writers) add(path string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.files == nil {
		u.files = map[string]bool{}
	}
	u.files[path] = true
}

// open tells whether any of the files is still open for writing. It forgets files that are not.
func (u *writers) open() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	for path := range u.files {
		if openForWriting(path) {
			return true
		}
		delete(u.files, path)
	}
	return false
}

// openForWriting tells whether any process has the file open for writing. The kernel grants a read lease only if none
// has (F_SETLEASE in fcntl(2)). The result is false on file systems without leases, and for files of other users if
// this process lacks CAP_LEASE.
func openForWriting(path string) bool {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close() // this ends the lease
	_, err = unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	return err == unix.EAGAIN
}
