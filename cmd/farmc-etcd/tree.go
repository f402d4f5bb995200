package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A tree writes the files of a prefix into a directory that a link leads to: /var/lib/farmc-etcd/farms leads to
// farms.rev-17 beside it. Several changes become a new directory, in which unchanged files are hard links, and the link
// is switched: farmc watch sees all of them or none. A single change is a rename in the directory.
type tree struct {
	link    string
	sync    func(dir string) error // brings the names in a directory to the disk
	old     []oldDir               // directories that the link has led to
	changed time.Time              // of the last change that other programs see; the disk has it later
}

// An oldDir is removed when its time has come: farmc may still read it.
type oldDir struct {
	path string
	due  time.Time
}

// keepOld is the time for which a directory stays after the link has left it.
const keepOld = time.Minute

func newTree(link string) tree { return tree{link: link, sync: syncDir} }

// open removes directories that a killed mirror left.
func (t *tree) open() error {
	if err := os.MkdirAll(filepath.Dir(t.link), 0o755); err != nil {
		return err
	}
	info, err := os.Lstat(t.link)
	if err == nil && info.Mode().Type() != fs.ModeSymlink {
		return fmt.Errorf("%s is no link; farmc-etcd replaces only links of its own", t.link)
	}
	left, err := filepath.Glob(t.link + ".rev-*")
	if err != nil {
		return err
	}
	for _, path := range append(left, t.link+".new") {
		if path != t.current() {
			err = errors.Join(err, os.RemoveAll(path))
		}
	}
	return err
}

// current is the directory that the link leads to; "" if there is none.
func (t *tree) current() string {
	target, err := os.Readlink(t.link)
	if err != nil {
		return ""
	}
	return filepath.Join(filepath.Dir(t.link), filepath.Base(target))
}

// read returns the files of the directory; nil if there is none.
func (t *tree) read() (*contents, error) {
	dir := t.current()
	if dir == "" {
		return nil, nil
	}
	return readDir(dir)
}

// readDir returns the files of a directory of farms. Their versions are not known. Hidden files are left out.
func readDir(dir string) (*contents, error) {
	out := newContents()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(e.Name(), ".") && e.IsDir():
			return filepath.SkipDir
		case strings.HasPrefix(e.Name(), ".") || e.IsDir():
			return nil
		}
		text, err := os.ReadFile(path)
		out.put(name, string(text), 0)
		return err
	})
	return out, err
}

// write changes the files of the directory from before to after. Without a directory, before is nil. After an error the
// directory has the files of before or of after.
func (t *tree) write(before, after *contents) error {
	t.removeOld(time.Now())
	if before == nil {
		return t.replace(newContents(), after)
	}
	switch names := after.differences(before); len(names) {
	case 0:
		return nil
	case 1:
		return t.change(names[0], after)
	}
	return t.replace(before, after)
}

// change writes or removes one file.
func (t *tree) change(name string, after *contents) error {
	path := filepath.Join(t.current(), name)
	text, exists := after.files[name]
	if exists {
		return t.writeFile(path, text)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	t.changed = time.Now()
	return t.sync(filepath.Dir(path))
}

// swap gives a new file or link the name of the one that it replaces.
func (t *tree) swap(next, path string) error {
	if err := os.Rename(next, path); err != nil {
		return err
	}
	t.changed = time.Now()
	return t.sync(filepath.Dir(path))
}

// replace makes a new directory and switches the link to it.
func (t *tree) replace(before, after *contents) error {
	from := t.current()
	dir, err := os.MkdirTemp(filepath.Dir(t.link), fmt.Sprintf("%s.rev-%d-", filepath.Base(t.link), after.revision))
	if err != nil {
		return err
	}
	if err := errors.Join(os.Chmod(dir, 0o755), fill(dir, from, before, after)); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	next := t.link + ".new"
	os.Remove(next)
	if err = os.Symlink(filepath.Base(dir), next); err == nil {
		err = t.swap(next, t.link)
	}
	if err != nil && t.current() != dir { // else the link was switched, and only the disk may not have it
		return errors.Join(err, os.RemoveAll(dir))
	}
	if from != "" {
		t.old = append(t.old, oldDir{from, time.Now().Add(keepOld)})
	}
	return err
}

// fill writes the files of after into dir. Files that are the same in the directory from become hard links.
func fill(dir, from string, before, after *contents) error {
	dirs := map[string]bool{}
	for name, text := range after.files {
		path := filepath.Join(dir, name)
		dirs[filepath.Dir(path)] = true
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if was, exists := before.files[name]; from != "" && exists && was == text &&
			os.Link(filepath.Join(from, name), path) == nil {
			continue
		}
		if err := create(path, text); err != nil {
			return err
		}
	}
	err := syncDir(dir)
	for d := range dirs {
		err = errors.Join(err, syncDir(d))
	}
	return err
}

// create writes a new file that reaches the disk.
func create(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// writeFile replaces a file in one step.
func (t *tree) writeFile(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	next := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	os.Remove(next)
	if err := create(next, text); err != nil {
		return errors.Join(err, os.Remove(next)) // a full disk leaves a part of the file
	}
	return t.swap(next, path)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// removeOld removes the directories that are due.
func (t *tree) removeOld(now time.Time) {
	left := t.old[:0]
	for _, o := range t.old {
		if now.Before(o.due) {
			left = append(left, o)
		} else {
			os.RemoveAll(o.path)
		}
	}
	t.old = left
}
