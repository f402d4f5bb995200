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

// survey goes to all directories anew. Old watches go first: they'd follow a directory that was moved away.
func (s *sentry) survey() error {
	for path := range s.rooms {
		s.watcher.Remove(path) // an error says that it is gone already
	}
	clear(s.rooms)
	for _, dir := range s.dirs {
		path, err := s.walk("/", dir)
		if path != "" && err == nil {
			s.rooms[path].farms = true
			err = s.open(path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// open makes a room one in which everything matters.
func (s *sentry) open(path string) error {
	s.rooms[path].inside = true
	entries, _ := os.ReadDir(path) // what can't be read can't be compiled either, and that is told there
	for _, entry := range entries {
		if err := s.enter(path, entry.Name()); err != nil {
			return err
		}
	}
	return nil
}

// enter goes where a name in an open room leads: by a link, into drop-ins, or in most cases nowhere. The name is no
// door: of thousands of drop-in directories that come or go, each would cause a survey of all.
func (s *sentry) enter(dir, name string) error {
	if !matters(name) {
		return nil
	}
	path, drops := filepath.Join(dir, name), s.rooms[dir].farms && dropIns(name)
	end := ""
	target, err := os.Readlink(path)
	switch {
	case err == nil && device(path):
		return nil
	case err == nil:
		end, err = s.walk(dir, target)
	case drops:
		end, err = path, s.watch(path)
	default:
		return nil
	}
	if end == "" || err != nil || !drops {
		return err
	}
	return s.open(end)
}

// device says whether a path leads to what is neither file nor directory, as /dev/null, which masks a farm: all the
// world writes to that, and it never changes.
func device(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && !info.Mode().IsRegular()
}

// mostLinks is how many links the kernel follows on one path (MAXSYMLINKS of linux/namei.h).
const mostLinks = 40

// walk goes from a real directory along a path, as the kernel does, and watches every directory it comes to. It gives
// the real path of the last, or "" where the path doesn't lead to a directory (yet).
func (s *sentry) walk(at, path string) (string, error) {
	at, steps := start(at, path), split(path)
	for links := 0; len(steps) > 0; {
		if err := s.watch(at); err != nil {
			return "", err
		}
		next := filepath.Join(at, steps[0])
		s.rooms[at].doors[steps[0]] = true
		steps = steps[1:]
		info, err := os.Lstat(next)
		switch {
		case err != nil:
			return "", nil
		case info.IsDir():
			at = next
		case info.Mode()&fs.ModeSymlink != 0 && links < mostLinks:
			target, _ := os.Readlink(next)
			at, steps = start(at, target), append(split(target), steps...)
			links++
		default:
			return "", nil
		}
	}
	return at, s.watch(at)
}

// start is the directory that a path, found in a directory, begins at.
func start(dir, path string) string {
	if filepath.IsAbs(path) {
		return "/"
	}
	return dir
}

// split gives the names in a path. ".." is one of them, as what stands before it may be a link.
func split(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(name string) bool { return name == "" || name == "." })
}

// watch watches a directory, again if it is watched already: it may be another one of the same name. One that isn't
// there any more, or may not be read, is left to the directory above, which is watched.
func (s *sentry) watch(path string) error {
	if s.rooms[path] == nil {
		s.rooms[path] = &room{doors: map[string]bool{}}
	}
	err := s.watcher.Add(path)
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.ENOMEM) {
		return err
	}
	return nil
}
