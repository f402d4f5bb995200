package live

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"farmc/cmd/internal/permission"
	"farmc/cmd/internal/source"
	"farmc/cmd/internal/watch"
	"farmc/compiler/diag"
	"farmc/compiler/ruleset"
)

// knownFiles are all files of farms as a compilation has read them, with the news since. The next compilation reads the
// files of farms that changed alone, of 10,000 mostly one. warm owns them. They end when a compilation needs more: a
// farm comes or goes, a list or a file of defaults changes, or there is a fault that concerns no farm alone, a finding
// about permissions, a link, another directory at the same path, or an event that the kernel has lost. The next
// compilation reads all files, and begins new ones.
type knownFiles struct {
	news     *watch.News
	lost     bool     // a directory could not be added
	roots    []stamp  // the directories of farms, without the states of their lists of names
	compiled int      // number of the last compilation by the compiler: one of other files ends the known ones
	unsaved  []string // farms that were compiled with changes which are not written, or not yet
}

// maxChanged is the largest number of farms whose files are read one by one. Beyond, all directories are read.
const maxChanged = 100

// ReadAll has the next compilation read all files: they may have changed without news. It waits for no operation.
func (e *Engine) ReadAll() { e.memory().unseen.Store(true) }

// follow begins to follow the directories before they are read; nil if that is impossible, or not wanted.
func (e *Engine) follow() *knownFiles {
	if before := e.memory().cached; !e.FollowsFiles || before != nil && before.ChangeElsewhere {
		return nil
	}
	news, err := watch.NewNews()
	if err != nil {
		return nil
	}
	return &knownFiles{news: news, roots: e.roots()}
}

// enter adds a directory that is about to be read. One that does not exist yet, as for the first drop-in of a farm, is
// among the news of the directory above as soon as it does.
func (f *knownFiles) enter(dir string) {
	if f == nil {
		return
	}
	if err := f.news.Add(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.lost = true
	}
}

// unfollow has the next compilation read all files.
func (m *warm) unfollow() {
	if m.known != nil {
		m.known.news.Close()
	}
	m.known = nil
}

// followAfter keeps what is followed after a compilation of the files with changes, which may not be written.
func (e *Engine) followAfter(f *knownFiles, c *compilation, permissions *permission.Check, changes []source.Change) {
	memory := e.memory()
	if f == nil {
		return
	}
	memory.known = f
	var known bool
	f.unsaved, known = e.farmsAt(pathsOf(changes))
	if !known || f.lost || c.sources.ChangeElsewhere || len(permissions.Diagnostics()) > 0 {
		memory.unfollow()
	}
	f.compiled = memory.incremental.Compiled()
}

// compileFollowed compiles after changes of a few farms; nil if all files have to be read.
func (e *Engine) compileFollowed(changes []source.Change) *compilation {
	memory := e.memory()
	f := memory.known
	unseen := memory.unseen.Swap(false)
	if f == nil {
		return nil
	}
	names, known := e.changedFarms(f, changes)
	if unseen || !known || len(names) > maxChanged || f.compiled != memory.incremental.Compiled() ||
		!slices.Equal(f.roots, e.roots()) {
		memory.unfollow()
		return nil
	}
	permissions := e.newPermissions()
	defer permissions.Close()
	sources, all := &source.Files{}, e.sourceDirs(permissions, changes)
	for _, d := range all {
		fs.Stat(d.FS, ".") // notes who can write to the directories above, which have no news
	}
	dirs := sources.FollowedAgain(all, memory.cached, time.Now(), f.enter, names)
	c := compileBy(e.knownRoutes(), &memory.incremental, sources,
		func(m ruleset.Machine) (*ruleset.Script, diag.Diagnostics, bool) {
			return memory.incremental.CompileChanged(dirs, names, m)
		})
	if c == nil {
		memory.unfollow()
		return nil
	}
	e.keepCompiled(c, permissions, changes)
	e.followAfter(f, c, permissions, changes)
	return c
}

// changedFarms returns the farms with files that may differ from the last compilation, or will after the changes. It
// reports false if more than farms may have changed.
func (e *Engine) changedFarms(f *knownFiles, changes []source.Change) (names []string, known bool) {
	paths, complete := f.news.Changed()
	names, known = e.farmsAt(append(paths, pathsOf(changes)...))
	names = append(names, f.unsaved...)
	slices.Sort(names)
	return slices.Compact(names), known && complete
}

func pathsOf(changes []source.Change) (paths []string) {
	for _, c := range changes {
		paths = append(paths, c.Path)
	}
	return paths
}

// farmsAt returns the farms that have files at the paths. It reports false if a path is part of a farm's directory, but
// of no farm.
func (e *Engine) farmsAt(paths []string) (names []string, known bool) {
	for _, p := range paths {
		for _, d := range e.Dirs {
			below, err := filepath.Rel(d.Path, p)
			if err != nil || !fs.ValidPath(below) || isHidden(below) {
				continue
			}
			name := source.FarmOf(source.Item(below))
			if name == "" {
				return nil, false
			}
			names = append(names, name)
		}
	}
	return names, true
}

// isHidden reports whether a path in a directory of farms has a name that is never read.
func isHidden(path string) bool {
	return path != "." && (strings.HasPrefix(path, ".") || strings.Contains(path, "/."))
}

// roots are the stamps of the directories without the states of their lists of names.
func (e *Engine) roots() []stamp {
	out := e.stamps()
	for i := range out {
		out[i].changed = syscall.Timespec{}
	}
	return out
}
