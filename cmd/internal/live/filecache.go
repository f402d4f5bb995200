package live

import (
	"io"
	"io/fs"
	"path"
	"slices"
	"sync"
	"syscall"
	"time"

	"farmc/compiler"

	"golang.org/x/sys/unix"
)

// A record is taken of what is read from directories. A file that looks as it did before isn't read again: of ten
// thousand farms that is nearly all.
type fileCache struct {
	sources  *SourceFiles
	previous *SourceFiles // what was read before, or nil
	began    time.Time    // this reading

	mu         sync.Mutex
	states     map[fileName]fileState // of files that are about to be read
	localClock map[uint64]bool        // by device
}

// A fileName is that of a file in the nth directory.
type fileName struct {
	dir  int
	name string
}

// record gives directories that remember in s what is read from them. Files that have rested by then are known the next
// time.
func (s *SourceFiles) cachedDirs(dirs []compiler.Dir, before *SourceFiles, began time.Time) []compiler.Dir {
	if before == nil {
		before = &SourceFiles{}
	}
	s.files = make(map[string]sourceFile, len(before.files))
	to := &fileCache{sources: s, previous: before, began: began}
	to.states, to.localClock = map[fileName]fileState{}, map[uint64]bool{}
	recorded := slices.Clone(dirs)
	for i, d := range dirs {
		s.dirs = append(s.dirs, sourceDir{d.Path, d.Lenient})
		recorded[i].FS = cachedDir{d.FS.(fs.StatFS), to, i}
	}
	return recorded
}

// A recorder is a directory of which a record is taken.
type cachedDir struct {
	fs.StatFS
	cache *fileCache
	dir   int
}

func (r cachedDir) ReadLink(name string) (string, error)   { return fs.ReadLink(r.StatFS, name) }
func (r cachedDir) Lstat(name string) (fs.FileInfo, error) { return fs.Lstat(r.StatFS, name) }

func (r cachedDir) ReadDir(name string) ([]fs.DirEntry, error) {
	return fs.ReadDir(r.StatFS, name)
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

// state is called with the lock held.
func (r cachedDir) state(name string, info fs.FileInfo) fileState {
	state := stateOf(info)
	state.cacheable = state.settled(r.cache.began) && r.cache.hasLocalClock(state.device, r.path(name))
	return state
}

// isClocked says whether the times of files on a device can be gone by.
func (t *fileCache) hasLocalClock(device uint64, path string) bool {
	is, asked := t.localClock[device]
	if !asked {
		is = hasLocalClock(path)
		t.localClock[device] = is
	}
	return is
}

// ReadFile takes the file as it looked just before: what happens to it meanwhile shows the next time.
func (r cachedDir) ReadFile(name string) ([]byte, error) {
	where := r.path(name)
	r.cache.mu.Lock()
	f := sourceFile{dir: r.dir, name: name, state: r.cache.states[fileName{r.dir, name}]}
	r.cache.mu.Unlock()
	if was := r.cache.previous.files[where]; f.state.cacheable && was.err == nil && was.state == f.state {
		f.text = was.text
	} else {
		r.read(&f)
	}
	r.cache.mu.Lock()
	defer r.cache.mu.Unlock()
	r.cache.sources.files[where] = f
	return f.text, f.err
}

// read reads a file, and takes its state from the descriptor that is read: since Stat another file may have taken the
// name, and its text must never be known by the state of the first.
func (r cachedDir) read(f *sourceFile) {
	f.state = fileState{}
	opened, err := r.Open(f.name)
	if err != nil {
		f.err = err
		return
	}
	defer opened.Close()
	info, err := opened.Stat()
	if err != nil {
		f.err = err
		return
	}
	r.cache.mu.Lock()
	f.state = r.state(f.name, info)
	r.cache.mu.Unlock()
	f.text, f.err = io.ReadAll(opened)
}

func (r cachedDir) path(name string) string { return path.Join(r.cache.sources.dirs[r.dir].path, name) }

// A fileState is what the kernel tells of a file without it being read.
type fileState struct {
	device, inode     uint64
	size              int64
	mode, user, group uint32
	modified, changed syscall.Timespec

	cacheable bool // a file that looks the same is the same
}

// stateOf gives the zero state of what no kernel told.
func stateOf(info fs.FileInfo) fileState {
	of, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileState{}
	}
	return fileState{device: of.Dev, inode: of.Ino, size: of.Size, mode: of.Mode, user: of.Uid, group: of.Gid, modified: of.Mtim, changed: of.Ctim}
}

// coarsest is how far apart two changes of a file can be that give it the same time: its file system may keep whole
// seconds, even ones alone, and the clock that it goes by is some milliseconds late.
const timestampGranularity = 2 * time.Second

// rested says whether a change of the file from then on gives it another time of change (ctime, which no program can
// set). A file that was changed just before (git calls it racily clean) may have been read before the last change of
// that moment, and look the same after it. Where the clock was set back that holds until it has caught up.
func (s fileState) settled(then time.Time) bool {
	return s.inode != 0 && then.Sub(time.Unix(s.changed.Unix())) > timestampGranularity
}

// clocked are the file systems that go by this machine's clock, and need not ask another one how a file looks.
var localClockFS = []uint32{unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC,
	unix.TMPFS_MAGIC, unix.RAMFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC}

// isClocked says whether a file is on one of these.
func hasLocalClock(path string) bool {
	var about unix.Statfs_t
	return unix.Statfs(path, &about) == nil && slices.Contains(localClockFS, uint32(about.Type))
}
