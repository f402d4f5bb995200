package source

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/testmachine"
	"farmc/compiler/farm"
)

// A reader reads the same farms repeatedly, and records the opened files.
type reader struct {
	*testing.T
	root   string
	before *Files
	opened []string
}

func newReader(t *testing.T) *reader {
	r := &reader{T: t, root: t.TempDir()}
	testmachine.Write(t, r.root, map[string]string{
		"web.toml": plain, "mail.toml": plain, "web.toml.d/drain.toml": "backends.b1.state = 'drain'"})
	return r
}

func (r *reader) at(name string) string { return filepath.Join(r.root, name) }

func (r *reader) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// read reads as if at time began, and returns the opened files.
func (r *reader) read(began time.Time) []string {
	r.Helper()
	r.opened = nil
	now := &Files{}
	opened := func(name string) { r.opened = append(r.opened, name) }
	dir := farm.Dir{Path: r.root, FS: openRecorder{os.DirFS(r.root).(fs.StatFS), opened}}
	for _, d := range now.Cached([]farm.Dir{dir}, r.before, began) {
		for _, name := range []string{"mail.toml", "web.toml", "web.toml.d/drain.toml"} {
			_, err := fs.Stat(d.FS, name)
			r.must(err)
			_, err = fs.ReadFile(d.FS, name)
			r.must(err)
		}
	}
	for _, f := range now.ByPath {
		if is, err := os.ReadFile(r.at(f.Name)); err != nil || string(f.Text) != string(is) {
			r.Errorf("%s was read as %q, and is %q, %v", f.Name, f.Text, is, err)
		}
	}
	r.before = now
	slices.Sort(r.opened)
	return r.opened
}

// An openRecorder is a directory that reports each opened file.
type openRecorder struct {
	fs.StatFS
	opened func(name string)
}

func (l openRecorder) Open(name string) (fs.File, error) {
	l.opened(name)
	return l.StatFS.Open(name)
}

// A settled file is read again only after a change of any kind.
func TestChangedFilesAreReadAgain(t *testing.T) {
	later := time.Now().Add(time.Hour) // all files have settled by then
	other := strings.ReplaceAll(plain, "10.0.0.1", "10.0.0.2")
	edits := map[string]func(r *reader){
		"in place, as long as before": func(r *reader) { r.must(os.WriteFile(r.at("web.toml"), []byte(other), 0o644)) },
		"and its time set back": func(r *reader) {
			is, err := os.Stat(r.at("web.toml"))
			r.must(err)
			r.must(os.WriteFile(r.at("web.toml"), []byte(other), 0o644))
			r.must(os.Chtimes(r.at("web.toml"), is.ModTime(), is.ModTime()))
		},
		"renamed over": func(r *reader) {
			r.must(os.WriteFile(r.at("new"), []byte(other), 0o644))
			r.must(os.Rename(r.at("new"), r.at("web.toml")))
		},
		"an old one renamed over": func(r *reader) { r.must(os.Rename(r.at("old"), r.at("web.toml"))) },
		"a link to an old one": func(r *reader) {
			r.must(os.Remove(r.at("web.toml")))
			r.must(os.Symlink("old", r.at("web.toml")))
		},
		"other rights": func(r *reader) { r.must(os.Chmod(r.at("web.toml"), 0o600)) },
	}
	for _, name := range slices.Sorted(maps.Keys(edits)) {
		t.Run(name, func(t *testing.T) {
			r := newReader(t)
			testmachine.Write(t, r.root, map[string]string{"old": other})
			if !hasLocalClock(r.root) {
				t.Skip("the temporary directory is on a file system whose times farmc doesn't go by")
			}
			if got := r.read(later); len(got) != 3 {
				t.Fatalf("the first time %q are read", got)
			}
			if got := r.read(later); len(got) != 0 {
				t.Errorf("%q are read again", got)
			}
			edits[name](r)
			if got := r.read(later); !slices.Equal(got, []string{"web.toml"}) {
				t.Errorf("after the edit %q are read again", got)
			}
			if got := r.read(later); len(got) != 0 {
				t.Errorf("%q are read once more", got)
			}
		})
	}
}

// A file changed shortly before it is read can change again with the same timestamp, so it is read until it has
// settled.
func TestUnsettledFilesAreReadAgain(t *testing.T) {
	r := newReader(t)
	is, err := os.Stat(r.at("web.toml"))
	r.must(err)
	changed := stateOf(is).changed
	at := time.Unix(changed.Sec, changed.Nsec)
	for _, began := range []time.Time{at, at.Add(timestampGranularity), at.Add(-time.Hour)} {
		for range 2 {
			if got := r.read(began); !slices.Contains(got, "web.toml") {
				t.Errorf("%v after its change a file isn't read", began.Sub(at))
			}
		}
	}
	for i, want := range []int{3, 0} {
		if got := r.read(at.Add(timestampGranularity + time.Minute)); len(got) != want && hasLocalClock(r.root) {
			t.Errorf("once they have rested %q are read at reading %d", got, i+1)
		}
	}
}

// Files are always read if the timestamps of their file system come from another clock.
func TestRemoteFilesAreReadAgain(t *testing.T) {
	if hasLocalClock("/proc/self/stat") {
		t.Error("a file of proc is taken for one that need not be read")
	}
}
