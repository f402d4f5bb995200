package watch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// News tells which names in directories have changed. It answers at once, and knows each change that a program has
// finished before the question: the kernel puts an event into the queue within the system call that changes the file.
// Package fsnotify reads the queue in a goroutine of its own, and so may be late.
//
// A News has no events for changes that inotify does not report; see Watch.
type News struct {
	queue *os.File // closed with the News, or once nothing refers to it
	dirs  map[int32]string
	most  int // number of directories
}

// errTooMany is the error of Add for a directory beyond the share of a News in the watches of the user.
var errTooMany = errors.New("too few watches of inotify for one more directory")

// newsMask has the events that change a name, or the content, owner or mode of a file.
const newsMask = unix.IN_MODIFY | unix.IN_ATTRIB | unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM |
	unix.IN_MOVED_TO | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

// NewNews returns News of no directory yet.
func NewNews() (*News, error) {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &News{os.NewFile(uintptr(fd), "inotify"), map[int32]string{}, maxWatches() / 4}, nil
}

// maxWatches is the number of watches that the user may have. Watch needs one for each directory, too.
func maxWatches() int {
	text, _ := os.ReadFile("/proc/sys/fs/inotify/max_user_watches")
	most, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 8192 // the default before Linux 5.11
	}
	return most
}

// Add adds a directory. It is called before the directory is read. A directory that has been added by another path is
// an error.
func (n *News) Add(dir string) error {
	if len(n.dirs) >= n.most {
		return errTooMany
	}
	connection, err := n.queue.SyscallConn()
	if err != nil {
		return err
	}
	var watch int
	var failed error
	err = connection.Control(func(fd uintptr) { watch, failed = unix.InotifyAddWatch(int(fd), dir, newsMask) })
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	if known, is := n.dirs[int32(watch)]; is && known != dir {
		return fmt.Errorf("%s is %s", dir, known)
	}
	n.dirs[int32(watch)] = dir
	return nil
}

// Changed returns the paths that may have changed since the last call, below the directories as they were added; that
// of a directory stands for all of it. It reports false if the kernel has lost events.
func (n *News) Changed() (paths []string, complete bool) {
	buffer := make([]byte, 64<<10)
	for {
		length, err := n.read(buffer)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return paths, true
		case err != nil:
			return nil, false
		}
		for events := buffer[:max(length, 0)]; len(events) >= unix.SizeofInotifyEvent; {
			size := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(events[12:]))
			path, known := n.path(events[:size])
			if !known {
				return nil, false
			}
			if binary.NativeEndian.Uint32(events[4:])&unix.IN_IGNORED != 0 {
				delete(n.dirs, int32(binary.NativeEndian.Uint32(events)))
			}
			paths, events = append(paths, path), events[size:]
		}
	}
}

// read reads events without waiting for one.
func (n *News) read(buffer []byte) (length int, err error) {
	connection, err := n.queue.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	err = connection.Read(func(fd uintptr) bool {
		length, failed = unix.Read(int(fd), buffer)
		return true
	})
	return length, errors.Join(err, failed)
}

// path returns the path that an event is about, and false if events were lost.
func (n *News) path(event []byte) (path string, known bool) {
	dir, known := n.dirs[int32(binary.NativeEndian.Uint32(event))]
	if binary.NativeEndian.Uint32(event[4:])&unix.IN_Q_OVERFLOW != 0 || !known {
		return "", false
	}
	return filepath.Join(dir, strings.TrimRight(string(event[unix.SizeofInotifyEvent:]), "\x00")), true
}

// Close ends the News.
func (n *News) Close() { n.queue.Close() }
