package live

import (
	"io/fs"
	"path"
	"slices"
	"sync"
	"time"

	"farmc/compiler"
)

// A record is taken of what is read from directories. A file that looks as it did before isn't read again: of ten
// thousand farms that is nearly all.
type record struct {
	sources *Sources
	before  *Sources  // what was read before, or nil
	began   time.Time // this reading

	mu      sync.Mutex
	states  map[fileName]fileState // of files that are about to be read
	links   map[fileName]bool
	clocked map[uint64]bool // by device
}

// A fileName is that of a file in the nth directory.
type fileName struct {
	dir  int
	name string
}

// record gives directories that remember in s what is read from them. Files that have rested by then are known the next
// time.
func (s *Sources) record(dirs []compiler.Dir, before *Sources, began time.Time) []compiler.Dir {
	if before == nil {
		before = &Sources{}
	}
	s.files = make(map[string]sourceFile, len(before.files))
	to := &record{sources: s, before: before, began: began, states: map[fileName]fileState{}, links: map[fileName]bool{}, clocked: map[uint64]bool{}}
	recorded := slices.Clone(dirs)
	for i, d := range dirs {
		s.dirs = append(s.dirs, sourceDir{d.Path, d.Lenient})
		recorded[i].FS = recorder{d.FS.(fs.StatFS), to, i}
	}
	return recorded
}

// A recorder is a directory of which a record is taken.
type recorder struct {
	fs.StatFS
	to  *record
	dir int
}

func (r recorder) ReadLink(name string) (string, error)   { return fs.ReadLink(r.StatFS, name) }
func (r recorder) Lstat(name string) (fs.FileInfo, error) { return fs.Lstat(r.StatFS, name) }

func (r recorder) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(r.StatFS, name)
	r.to.mu.Lock()
	defer r.to.mu.Unlock()
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink != 0 {
			r.to.links[fileName{r.dir, path.Join(name, e.Name())}] = true
		}
	}
	return entries, err
}

func (r recorder) Stat(name string) (fs.FileInfo, error) {
	info, err := r.StatFS.Stat(name)
	if err == nil {
		state := stateOf(info)
		r.to.mu.Lock()
		defer r.to.mu.Unlock()
		state.known = state.rested(r.to.began) && r.to.isClocked(state.device, r.path(name))
		r.to.states[fileName{r.dir, name}] = state
	}
	return info, err
}

// isClocked says whether the times of files on a device can be gone by.
func (t *record) isClocked(device uint64, path string) bool {
	is, asked := t.clocked[device]
	if !asked {
		is = isClocked(path)
		t.clocked[device] = is
	}
	return is
}

// ReadFile takes the file as it looked just before: what happens to it meanwhile shows the next time.
func (r recorder) ReadFile(name string) ([]byte, error) {
	at, where := fileName{r.dir, name}, r.path(name)
	r.to.mu.Lock()
	f := sourceFile{dir: r.dir, name: name, state: r.to.states[at], link: r.to.links[at]}
	r.to.mu.Unlock()
	if was := r.to.before.files[where]; f.state.known && was.err == nil && was.state == f.state {
		f.text = was.text
	} else {
		f.text, f.err = fs.ReadFile(r.StatFS, name)
	}
	r.to.mu.Lock()
	defer r.to.mu.Unlock()
	r.to.sources.files[where] = f
	return f.text, f.err
}

func (r recorder) path(name string) string { return path.Join(r.to.sources.dirs[r.dir].path, name) }
