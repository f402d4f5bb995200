package watch

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// unfinished are files that were written to, and may still be open for that: half a file may read like a whole one.
// The zero value knows of none.
type unfinished struct {
	mu    sync.Mutex
	files map[string]bool
}

func (u *unfinished) add(path string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.files == nil {
		u.files = map[string]bool{}
	}
	u.files[path] = true
}

// any says whether somebody still has one of them open for writing. The others are forgotten.
func (u *unfinished) any() bool {
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

// openForWriting asks for a lease to read, which the kernel gives only where nobody has the file open for writing (fcntl(2),
// F_SETLEASE). Where it knows of no leases, or gives them to the file's owner alone, the answer is no.
func openForWriting(path string) bool {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close() // and the lease ends
	_, err = unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	return err == unix.EAGAIN
}
