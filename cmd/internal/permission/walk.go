package permission

import (
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is the number of symlinks on one path, the same limit as the kernel's.
const maxLinks = 40

// pathOnly opens a file as a place in the tree: it needs no permission on the file, reads nothing, and never waits for
// the other end of a FIFO.
const pathOnly = unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC

// readOnly opens a file that was regular a moment ago. If it is a FIFO now, O_NONBLOCK keeps open from waiting.
const readOnly = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOFOLLOW | unix.O_CLOEXEC

// A node is an open file or directory, with its absolute path without links.
type node struct {
	fd   int
	path string
	stat unix.Stat_t

	shared bool // close keeps it open
}

func (n node) close() {
	if !n.shared {
		unix.Close(n.fd)
	}
}

func (n node) isDirectory() bool { return n.stat.Mode&unix.S_IFMT == unix.S_IFDIR }

func (n node) isRegular() bool { return n.stat.Mode&unix.S_IFMT == unix.S_IFREG }

// kernelFS are file systems whose files look regular, and can be without an end, as /proc/kmsg and trace_pipe are.
var kernelFS = []uint32{unix.PROC_SUPER_MAGIC, unix.TRACEFS_MAGIC, unix.DEBUGFS_MAGIC}

// ofKernel reports whether the kernel makes the content of the file.
func (n node) ofKernel() bool {
	var about unix.Statfs_t
	return unix.Fstatfs(n.fd, &about) == nil && slices.Contains(kernelFS, uint32(about.Type))
}

func (n node) isLink() bool { return n.stat.Mode&unix.S_IFMT == unix.S_IFLNK }

// A walk resolves a path name by name with openat, and follows links itself. So each directory in which a name is
// looked up is open when it is checked, and no rename can put another one in its place. That includes the directories
// of links on the way.
type walk struct {
	at    node     // directory of the next lookup
	names []string // rest of the path
	links int      // number of links followed

	keepLink bool                       // a link at the end of the path is not followed
	read     bool                       // a regular file at the end of the path is opened for reading
	passes   func(directory, next node) // called after each lookup with the directory and the file found in it
}

// toAbsolute walks to a path from the root directory, or from the working directory.
func toAbsolute(name string, passes func(node, node)) (node, error) {
	return fromRoot(name, walk{passes: passes})
}

// readNode is toAbsolute with a regular file at the end opened for reading.
func readNode(name string, passes func(node, node)) (node, error) {
	return fromRoot(name, walk{passes: passes, read: true})
}

// fromRoot takes a walk to a path from the root directory.
func fromRoot(name string, w walk) (node, error) {
	if !path.IsAbs(name) {
		wd, err := os.Getwd()
		if err != nil {
			return node{}, err
		}
		name = wd + "/" + name // not cleaned: "link/.." is the parent of the link's target
	}
	root, err := openRoot()
	if err != nil {
		return node{}, err
	}
	w.at, w.names = root, strings.Split(name, "/")
	return w.run()
}

func openRoot() (node, error) { return openNode(unix.AT_FDCWD, "/", "/", pathOnly|unix.O_DIRECTORY) }

// run walks to the end of the path. The caller closes the node.
func (w *walk) run() (node, error) {
	for len(w.names) > 0 {
		name := w.names[0]
		w.names = w.names[1:]
		if name == "" || name == "." {
			continue
		}
		if err := w.step(name); err != nil {
			w.at.close()
			return node{}, err
		}
	}
	return w.at, nil
}

// step goes to a name in the directory, or to the target of the link of this name.
func (w *walk) step(name string) error {
	next, err := w.lookup(name)
	if err != nil {
		return err
	}
	w.passes(w.at, next)
	if next.isLink() && !(w.keepLink && w.atEnd()) {
		defer next.close()
		return w.follow(next)
	}
	w.at.close()
	w.at = next
	return nil
}

func (w *walk) atEnd() bool { return strings.Join(w.names, "") == "" }

// lookup opens a name in the directory. A file to be read is opened twice: its metadata comes from the descriptor that
// is read. O_DIRECTORY refuses links, and makes autofs mount a directory on demand.
func (w *walk) lookup(name string) (node, error) {
	to := path.Join(w.at.path, name)
	if !w.atEnd() {
		next, err := openNode(w.at.fd, name, to, pathOnly|unix.O_DIRECTORY)
		if err != unix.ENOTDIR {
			return next, err
		}
	}
	next, err := openNode(w.at.fd, name, to, pathOnly)
	if err != nil || !w.read || !w.atEnd() || !next.isRegular() {
		return next, err
	}
	next.close()
	return openNode(w.at.fd, name, to, readOnly)
}

// follow puts the target of a link before the rest of the path.
func (w *walk) follow(link node) error {
	if w.links++; w.links > maxLinks {
		return unix.ELOOP
	}
	target, err := readLink(link)
	if err != nil {
		return err
	}
	if path.IsAbs(target) {
		root, err := openRoot()
		if err != nil {
			return err
		}
		w.at.close()
		w.at = root
	}
	w.names = append(strings.Split(target, "/"), w.names...)
	return nil
}

func readLink(link node) (string, error) {
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(link.fd, "", target)
	if err != nil {
		return "", err
	}
	return string(target[:n]), nil
}

// openNode opens a name in a directory. A signal can interrupt the call on a network file system.
func openNode(directory int, name, to string, flags int) (node, error) {
	n := node{path: to}
	err := error(unix.EINTR)
	for err == unix.EINTR {
		n.fd, err = unix.Openat(directory, name, flags, 0)
	}
	if err != nil {
		return node{}, err
	}
	if err := unix.Fstat(n.fd, &n.stat); err != nil {
		n.close()
		return node{}, err
	}
	return n, nil
}

// file returns the node as a file that owns the descriptor.
func (n node) file() *os.File { return os.NewFile(uintptr(n.fd), n.path) }
