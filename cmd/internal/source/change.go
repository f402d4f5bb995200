package source

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"farmc/compiler/farm"
)

// A Change is the new text of a file, or its removal. Only files in directories of farms affect the compilation.
type Change struct {
	Path   string // a directory of farms as it was given, and the name in it
	Text   []byte // nil: the file is removed
	Before []byte // text that the change was made from; nil: there was no file
}

// Joined returns one change of each file for changes that were made one on top of the other.
func Joined(changes []Change) (out []Change) {
	at := map[string]int{}
	for _, c := range changes {
		if i, again := at[c.Path]; again {
			out[i].Text = c.Text
			continue
		}
		at[c.Path] = len(out)
		out = append(out, c)
	}
	return slices.DeleteFunc(out, func(c Change) bool {
		return (c.Text == nil) == (c.Before == nil) && bytes.Equal(c.Text, c.Before)
	})
}

// An overlay is a directory of farms as it will be after some changes. The compiler reads the farms through it before
// any file is changed.
type overlay struct {
	fs.FS                     // the directory as it is
	texts map[string][]byte   // new texts by name; nil: removed
	below map[string][]string // the names in texts, by each directory above
}

func newOverlay(of fs.FS, texts map[string][]byte) overlay {
	o := overlay{of, texts, map[string][]string{}}
	for name := range texts {
		for dir := path.Dir(name); ; dir = path.Dir(dir) {
			o.below[dir] = append(o.below[dir], name)
			if dir == "." {
				break
			}
		}
	}
	return o
}

// WithChanges returns the directories as they will be after the changes.
func WithChanges(dirs []farm.Dir, changes []Change) []farm.Dir {
	out := slices.Clone(dirs)
	for i, d := range dirs {
		texts := map[string][]byte{}
		for _, c := range changes {
			if name, err := filepath.Rel(d.Path, c.Path); err == nil && fs.ValidPath(name) {
				texts[name] = c.Text
			}
		}
		if len(texts) > 0 {
			out[i].FS = newOverlay(d.FS, texts)
		}
	}
	return out
}

// Open opens a new text as a file, and other names in the directory.
func (o overlay) Open(name string) (fs.File, error) {
	if text, changed := o.texts[name]; changed {
		return o.open("open", name, text)
	}
	return o.FS.Open(name)
}

// Stat looks at the file on disk in any case, because the directory checks its permissions.
func (o overlay) Stat(name string) (fs.FileInfo, error) {
	info, err := fs.Stat(o.FS, name)
	if text, changed := o.texts[name]; changed {
		f, err := o.open("stat", name, text)
		return f.memoryInfo, err
	}
	if err != nil && o.hasBelow(name) {
		return memoryInfo{name: path.Base(name), dir: true}, nil
	}
	return info, err
}

// Lstat returns the same as Stat for a changed file: its new text replaces a link.
func (o overlay) Lstat(name string) (fs.FileInfo, error) {
	if _, changed := o.texts[name]; changed || o.hasBelow(name) {
		return o.Stat(name)
	}
	return fs.Lstat(o.FS, name)
}

// ReadLink returns the target of a link that is not changed.
func (o overlay) ReadLink(name string) (string, error) {
	if _, changed := o.texts[name]; changed {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return fs.ReadLink(o.FS, name)
}

// ReadDir returns the names after the changes, sorted.
func (o overlay) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(o.FS, name)
	if err != nil && !(errors.Is(err, fs.ErrNotExist) && o.hasBelow(name)) {
		return entries, err
	}
	added, replaced := map[string]memoryInfo{}, map[string]bool{}
	for _, changed := range o.below[name] {
		text := o.texts[changed]
		first, _, isBelow := strings.Cut(relative(name, changed), "/")
		switch {
		case isBelow && text != nil:
			added[first] = memoryInfo{name: first, dir: true}
		case !isBelow:
			replaced[first] = true
			if text != nil {
				added[first] = memoryInfo{name: first, size: int64(len(text))}
			}
		}
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return replaced[e.Name()] })
	for _, e := range entries {
		delete(added, e.Name()) // a directory that exists
	}
	for _, info := range added {
		entries = append(entries, fs.FileInfoToDirEntry(info))
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// hasBelow reports whether a new file is in the directory of this name.
func (o overlay) hasBelow(dir string) bool {
	return slices.ContainsFunc(o.below[dir], func(name string) bool { return o.texts[name] != nil })
}

// relative returns the path of a file below a directory.
func relative(dir, name string) string {
	if dir == "." {
		return name
	}
	return strings.TrimPrefix(name, dir+"/")
}

func (o overlay) open(op, name string, text []byte) (memoryFile, error) {
	info := memoryInfo{name: path.Base(name), size: int64(len(text))}
	if text == nil {
		return memoryFile{memoryInfo: info}, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return memoryFile{info, bytes.NewReader(text)}, nil
}

// A memoryFile is a new text, opened.
type memoryFile struct {
	memoryInfo
	io.Reader
}

func (f memoryFile) Stat() (fs.FileInfo, error) { return f.memoryInfo, nil }
func (f memoryFile) Close() error               { return nil }

// memoryInfo is the metadata of a new text. Without an inode the cache of files does not keep the text.
type memoryInfo struct {
	name string
	size int64
	dir  bool
}

func (i memoryInfo) Name() string       { return i.name }
func (i memoryInfo) Size() int64        { return i.size }
func (i memoryInfo) ModTime() time.Time { return time.Time{} }
func (i memoryInfo) IsDir() bool        { return i.dir }
func (i memoryInfo) Sys() any           { return nil }

func (i memoryInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o755
	}
	return 0o644
}
