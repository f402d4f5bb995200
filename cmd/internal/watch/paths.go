package watch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// watchAll replaces all watches. The old ones are removed first, because a watch follows a directory that is moved.
func (w *inotifyWatcher) watchAll() error {
	for path := range w.watched {
		w.watcher.Remove(path) // an error means that the directory is gone
	}
	clear(w.watched)
	for _, dir := range w.dirs {
		path, err := w.watchPath("/", dir)
		if path != "" && err == nil {
			w.watched[path].farms = true
			err = w.watchContent(path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// watchContent makes the content of a watched directory relevant, and follows its entries.
func (w *inotifyWatcher) watchContent(path string) error {
	w.watched[path].content = true
	entries, _ := os.ReadDir(path) // the compiler reports a directory that cannot be read
	for _, entry := range entries {
		if err := w.follow(path, entry.Name()); err != nil {
			return err
		}
	}
	return nil
}

// follow watches the target of a name in a relevant directory if it is a symlink or a drop-in directory. The name does
// not become one of children: each of thousands of drop-in directories that come or go would replace all watches.
func (w *inotifyWatcher) follow(dir, name string) error {
	if !relevant(name) {
		return nil
	}
	path, drops := filepath.Join(dir, name), w.watched[dir].farms && isDropInDir(name)
	end := ""
	target, err := os.Readlink(path)
	switch {
	case err == nil && device(path):
		return nil
	case err == nil:
		end, err = w.watchPath(dir, target)
	case drops:
		end, err = path, w.watch(path)
	default:
		return nil
	}
	if end == "" || err != nil || !drops {
		return err
	}
	return w.watchContent(end)
}

// device tells whether a path leads neither to a file nor to a directory. A symlink to /dev/null masks a farm; many
// programs write to /dev/null, and it never changes.
func device(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && !info.Mode().IsRegular()
}

// mostLinks is the number of symlinks that the kernel follows on one path (MAXSYMLINKS of linux/namei.h).
const mostLinks = 40

// watchPath resolves a path from a real directory, as the kernel does, and watches every directory on the way. It gives
// the real path of the last one, or "" if the path does not lead to a directory.
func (w *inotifyWatcher) watchPath(at, path string) (string, error) {
	at, steps := startDir(at, path), split(path)
	for links := 0; len(steps) > 0; {
		if err := w.watch(at); err != nil {
			return "", err
		}
		next := filepath.Join(at, steps[0])
		w.watched[at].children[steps[0]] = true
		steps = steps[1:]
		info, err := os.Lstat(next)
		switch {
		case err != nil:
			return "", nil
		case info.IsDir():
			at = next
		case info.Mode()&fs.ModeSymlink != 0 && links < mostLinks:
			target, _ := os.Readlink(next)
			at, steps = startDir(at, target), append(split(target), steps...)
			links++
		default:
			return "", nil
		}
	}
	return at, w.watch(at)
}

// startDir is the directory in which the resolution of a path begins: the root, or the directory that holds the path.
func startDir(dir, path string) string {
	if filepath.IsAbs(path) {
		return "/"
	}
	return dir
}

// split gives the names in a path. It keeps "..", because the name before it may be a symlink.
func split(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(name string) bool { return name == "" || name == "." })
}

// watch adds a watch for a directory, again if it has one, because the path may lead to another directory now. If the
// directory is gone or cannot be read, the watch of its parent has to do. The error is that inotify has no watches
// left.
func (w *inotifyWatcher) watch(path string) error {
	if w.watched[path] == nil {
		w.watched[path] = &watchedDir{children: map[string]bool{}}
	}
	err := w.watcher.Add(path)
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.ENOMEM) {
		return err
	}
	return nil
}
