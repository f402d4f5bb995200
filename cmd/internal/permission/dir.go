package permission

import (
	"cmp"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// A checkedDir is a directory of farms with permission checks on the descriptors that its files are read from. It is
// opened once: all files of a compilation come from the same directory, even if another one takes its place meanwhile.
type checkedDir struct {
	path        string // as given by the administrator
	permissions *Check

	once sync.Once
	root node
	err  error
}

// open opens the directory, and checks it and the way to it.
func (d *checkedDir) open() (node, error) {
	d.once.Do(func() {
		d.root, d.err = d.permissions.directory(d.path)
		d.root.shared = true
	})
	return d.root, d.err
}

func (d *checkedDir) close() {
	d.once.Do(func() { d.err = fs.ErrClosed })
	if d.err == nil {
		d.root.shared = false
		d.root.close()
		d.err = fs.ErrClosed
	}
}

// find opens a file of the directory with walk w.
func (d *checkedDir) find(op, name string, w walk) (node, error) {
	n, err := d.walk(name, w)
	if err != nil {
		return n, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return n, nil
}

func (d *checkedDir) walk(name string, w walk) (node, error) {
	if !fs.ValidPath(name) {
		return node{}, fs.ErrInvalid
	}
	root, err := d.open()
	if err != nil {
		return node{}, err
	}
	if name == "." {
		return openNode(root.fd, ".", root.path, pathOnly|unix.O_DIRECTORY)
	}
	found := d.permissions.finding()
	w.at, w.names, w.passes = root, strings.Split(name, "/"), found.way
	n, err := w.run()
	if err != nil {
		return n, err
	}
	if !w.keepLink {
		found.file(path.Join(d.path, name), n)
	}
	d.permissions.add(found, path.Join(d.path, name))
	return n, nil
}

// Open opens a directory or a regular file for reading.
func (d *checkedDir) Open(name string) (fs.File, error) {
	n, err := d.find("open", name, walk{read: true})
	switch {
	case err != nil:
		return nil, err
	case n.isRegular() && !n.ofKernel():
		return n.file(), nil
	case !n.isDirectory():
		n.close()
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("not a regular file")}
	}
	defer n.close()
	opened, err := openNode(n.fd, ".", n.path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return opened.file(), nil
}

// ReadDir returns the entries of a directory, sorted by name.
func (d *checkedDir) ReadDir(name string) ([]fs.DirEntry, error) {
	f, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	directory, ok := f.(fs.ReadDirFile)
	if !ok {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: unix.ENOTDIR}
	}
	entries, err := directory.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	return entries, err
}

// Stat returns the metadata of a file, or of the target of a link.
func (d *checkedDir) Stat(name string) (fs.FileInfo, error) {
	if info := d.plainStat(name); info != nil {
		return info, nil
	}
	return d.status("stat", name, walk{})
}

// Lstat returns the metadata of a file or link.
func (d *checkedDir) Lstat(name string) (fs.FileInfo, error) {
	return d.status("lstat", name, walk{keepLink: true})
}

func (d *checkedDir) status(op, name string, w walk) (fs.FileInfo, error) {
	n, err := d.find(op, name, w)
	if err != nil {
		return nil, err
	}
	f := n.file()
	defer f.Close()
	return f.Stat()
}

// ReadLink returns the target of a link.
func (d *checkedDir) ReadLink(name string) (string, error) {
	n, err := d.find("readlink", name, walk{keepLink: true})
	if err != nil {
		return "", err
	}
	defer n.close()
	if !n.isLink() {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return readLink(n)
}
