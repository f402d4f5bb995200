package source

import (
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"farmc/compiler/farm"
)

// A fileCache reads files of directories and reuses the text of files that did not change since the previous reading.
// Of ten thousand farms nearly all files are reused.
type fileCache struct {
	sources  *Files
	previous *Files    // source files of the previous reading
	began    time.Time // start of this reading

	enter func(dir string) // is called before a directory is read

	mu         sync.Mutex
	states     map[fileName]fileState // from Stat, which precedes ReadFile
	localClock map[uint64]bool        // hasLocalClock by device number
}

// A fileName is the name of a file within the directory of index dir.
type fileName struct {
	dir  int
	name string
}

// Cached returns directories that read through a cache and add each file to s. Before has the files of the previous
// reading, or is nil. A file that has settled at time began can be reused by the next reading.
func (s *Files) Cached(dirs []farm.Dir, before *Files, began time.Time) []farm.Dir {
	return s.Followed(dirs, before, began, func(string) {})
}

// Followed is Cached with a function that is called with the path of each directory before its names are read.
func (s *Files) Followed(dirs []farm.Dir, before *Files, began time.Time, enter func(dir string)) []farm.Dir {
	if before == nil {
		before = &Files{}
	}
	s.ByPath, s.before = make(map[string]File, len(before.ByPath)), before.sorted
	return s.cached(dirs, before, began, enter)
}

// FollowedAgain is Followed for a reading of the files of some farms alone. The other files are those of the reading
// before.
func (s *Files) FollowedAgain(
	dirs []farm.Dir, before *Files, began time.Time, enter func(dir string), farms []string,
) []farm.Dir {
	s.ByPath, s.before, s.touched = maps.Clone(before.ByPath), before.Paths(), []string{}
	for _, d := range dirs {
		for _, name := range farms {
			s.forget(path.Join(d.Path, name+".toml"))
		}
	}
	return s.cached(dirs, before, began, enter)
}

// forget removes a farm's file and its drop-ins, which stand together among the sorted paths.
func (s *Files) forget(main string) {
	delete(s.ByPath, main)
	s.touched = append(s.touched, main)
	dropIns := main + ".d/"
	at, _ := slices.BinarySearch(s.before, dropIns)
	for ; at < len(s.before) && strings.HasPrefix(s.before[at], dropIns); at++ {
		delete(s.ByPath, s.before[at])
		s.touched = append(s.touched, s.before[at])
	}
}

// cached wraps the directories, and adds them to the roots.
func (s *Files) cached(dirs []farm.Dir, before *Files, began time.Time, enter func(dir string)) []farm.Dir {
	cache := &fileCache{sources: s, previous: before, began: began, enter: enter}
	cache.states, cache.localClock = map[fileName]fileState{}, map[uint64]bool{}
	cached := slices.Clone(dirs)
	for i, d := range dirs {
		s.Roots = append(s.Roots, Dir{Path: d.Path, lenient: d.Lenient, answers: d.Answers})
		cached[i].FS = cachedDir{d.FS.(fs.StatFS), cache, i}
	}
	return cached
}

// A cachedDir is a directory that reads through the cache.
type cachedDir struct {
	fs.StatFS
	cache *fileCache
	dir   int
}

func (r cachedDir) ReadLink(name string) (string, error) { return fs.ReadLink(r.StatFS, name) }

// Lstat notes symlinks.
func (r cachedDir) Lstat(name string) (fs.FileInfo, error) {
	info, err := fs.Lstat(r.StatFS, name)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		r.cache.noteLink()
	}
	return info, err
}

// ReadDir notes symlinks.
func (r cachedDir) ReadDir(name string) ([]fs.DirEntry, error) {
	r.cache.enter(r.path(name))
	entries, err := fs.ReadDir(r.StatFS, name)
	if slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return e.Type()&fs.ModeSymlink != 0 && !strings.HasPrefix(e.Name(), ".") // a hidden name is never read
	}) {
		r.cache.noteLink()
	}
	return entries, err
}

func (t *fileCache) noteLink() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sources.ChangeElsewhere = true
}

func (r cachedDir) Stat(name string) (fs.FileInfo, error) {
	info, err := r.StatFS.Stat(name)
	if err == nil {
		r.cache.mu.Lock()
		defer r.cache.mu.Unlock()
		r.cache.states[fileName{r.dir, name}] = r.state(name, info)
	}
	return info, err
}

// state returns the state of a file. The caller holds the lock.
func (r cachedDir) state(name string, info fs.FileInfo) fileState {
	state := stateOf(info)
	local := r.cache.hasLocalClock(state.device, r.path(name))
	state.cacheable = local && state.settled(r.cache.began)
	if of, is := info.Sys().(*syscall.Stat_t); is && (!local || of.Nlink > 1 && info.Mode().IsRegular()) {
		r.cache.sources.ChangeElsewhere = true
	}
	return state
}

// hasLocalClock is the function of the same name, asked once for each device.
func (t *fileCache) hasLocalClock(device uint64, path string) bool {
	is, asked := t.localClock[device]
	if !asked {
		is = hasLocalClock(path)
		t.localClock[device] = is
	}
	return is
}

// ReadFile returns the text of the previous reading if the state that Stat found is the same and cacheable. Otherwise
// it reads the file.
func (r cachedDir) ReadFile(name string) ([]byte, error) {
	where := r.path(name)
	r.cache.mu.Lock()
	f := File{Dir: r.dir, Name: name, state: r.cache.states[fileName{r.dir, name}]}
	r.cache.mu.Unlock()
	if was := r.cache.previous.ByPath[where]; f.state.cacheable && was.Err == nil && was.state == f.state {
		f.Text, f.facts = was.Text, was.facts
	} else {
		r.read(&f)
	}
	r.cache.mu.Lock()
	defer r.cache.mu.Unlock()
	r.cache.sources.ByPath[where] = f
	if r.cache.sources.touched != nil {
		r.cache.sources.touched = append(r.cache.sources.touched, where)
	}
	return f.Text, f.Err
}

// read reads a file, and takes its state from the same descriptor: since Stat another file may have taken the name, and
// its text must not be stored with the state of the first.
func (r cachedDir) read(f *File) {
	f.state, f.facts = fileState{}, &textFacts{}
	opened, err := r.Open(f.Name)
	if err != nil {
		f.Err = err
		return
	}
	defer opened.Close()
	info, err := opened.Stat()
	if err != nil {
		f.Err = err
		return
	}
	r.cache.mu.Lock()
	f.state = r.state(f.Name, info)
	r.cache.mu.Unlock()
	f.Text, f.Err = io.ReadAll(opened)
}

func (r cachedDir) path(name string) string {
	return path.Join(r.cache.sources.Roots[r.dir].Path, name)
}

// A fileState is the metadata of a file that changes with its content.
type fileState struct {
	device, inode     uint64
	size              int64
	mode, user, group uint32
	modified, changed syscall.Timespec

	cacheable bool // a file with an equal state has equal content
}

// stateOf returns the zero state if the file is not one of the kernel's.
func stateOf(info fs.FileInfo) fileState {
	of, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileState{}
	}
	return fileState{device: of.Dev, inode: of.Ino, size: of.Size, mode: of.Mode, user: of.Uid, group: of.Gid,
		modified: of.Mtim, changed: of.Ctim}
}

// timestampGranularity is the longest time between two changes of a file that leave it with the same timestamp. Some
// file systems store even seconds only, and the kernel's clock for timestamps is some milliseconds late.
const timestampGranularity = 2 * time.Second

// settled reports whether a change of the file after time then gives it another change time (ctime, which no program
// can set). A file changed shortly before it is read ("racily clean" in git) can change again with the same timestamp.
// If the clock was set back, a file is unsettled until the clock has caught up.
func (s fileState) settled(then time.Time) bool {
	return s.inode != 0 && then.Sub(time.Unix(s.changed.Unix())) > timestampGranularity
}

// localClockFS are file systems that take timestamps from this machine's clock, and that no other machine writes to.
var localClockFS = []uint32{unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC,
	unix.TMPFS_MAGIC, unix.RAMFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC}

// hasLocalClock reports whether the file system at path is one of localClockFS.
func hasLocalClock(path string) bool {
	var about unix.Statfs_t
	return unix.Statfs(path, &about) == nil && slices.Contains(localClockFS, uint32(about.Type))
}
