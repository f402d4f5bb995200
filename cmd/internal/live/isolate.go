package live

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"farmc/compiler"
	"farmc/compiler/diag"
)

// An isolation loads what has no fault, and keeps what has one as it was loaded last. What was never loaded is left out.
//
// Of a conflict that side is at fault that has changed since the last load, for the other one serves; both, if both
// have. So a new farm that wants what a kept one has waits until that is mended.
type isolation struct {
	now, last *SourceFiles
	kept      []string // farms and lists by the names of their files, "web.toml": those that are as they were
}

// isolation begins with nothing kept.
func (e *Engine) isolation(c *compilation) *isolation {
	i := &isolation{now: c.sources, last: &SourceFiles{}}
	kept, err := e.Store.Loaded()
	if err != nil {
		return i
	}
	if packed, err := os.ReadFile(filepath.Join(e.Store.Dir, sourcesFile)); err == nil {
		if last, digest, err := unpack(packed); err == nil && digest == kept.Digest {
			i.last = last
		}
	}
	return i
}

// mend keeps whatever the faults speak of, and what then is at fault in turn, until there is none. It gives nil where
// keeping files as they were is no help.
func (i *isolation) repair(diagnostics diag.Diagnostics) *compilation {
	for i.keepFaulty(diagnostics) {
		mixed := i.mixed()
		c := compileLocal(&compiler.Memory{}, mixed, mixed.Dirs())
		if c.script != nil {
			return c
		}
		diagnostics = c.diagnostics
	}
	return nil
}

// keep adds what the faults speak of to what is kept, and says whether there was any of it for each of them.
func (i *isolation) keepFaulty(diagnostics diag.Diagnostics) bool {
	var add []string
	for _, d := range diagnostics {
		if d.Severity != diag.Fault {
			continue
		}
		blamed := slices.DeleteFunc(farmsAndLists(d), i.unchanged)
		if len(blamed) == 0 { // a farm as it was may miss a list as it was
			blamed = i.lists()
		}
		if len(blamed) == 0 {
			return false
		}
		add = append(add, blamed...)
	}
	i.kept = append(i.kept, add...)
	slices.Sort(i.kept)
	i.kept = slices.Compact(i.kept)
	return len(add) > 0
}

// items are the farms and lists that a fault speaks of.
func farmsAndLists(d diag.Diagnostic) []string {
	files := []string{d.Place.File}
	for _, n := range d.Also {
		files = append(files, n.Place.File)
	}
	if d.Farm != "" {
		files = append(files, d.Farm+".toml")
	}
	var out []string
	for _, f := range files {
		if name := farmOrList(f); name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// item is the farm or list that a file is part of, or "".
func farmOrList(file string) string {
	if farm, ok := strings.CutSuffix(path.Base(path.Dir(file)), ".toml.d"); ok {
		return farm + ".toml"
	}
	if name := path.Base(file); strings.HasSuffix(name, ".toml") || strings.HasSuffix(name, ".list") {
		return name
	}
	return ""
}

// unchanged says whether a farm or list is, here and now, as it was loaded last.
func (i *isolation) unchanged(name string) bool {
	if slices.Contains(i.kept, name) {
		return true
	}
	was := i.last.of(name)
	return len(was) > 0 && slices.EqualFunc(was, i.now.of(name), func(a, b sourceFile) bool {
		return a.name == b.name && string(a.text) == string(b.text) && b.err == nil
	})
}

// lists are those that aren't as they were.
func (i *isolation) lists() []string {
	var out []string
	for _, s := range []*SourceFiles{i.now, i.last} {
		for _, p := range s.paths() {
			if name := farmOrList(p); strings.HasSuffix(name, ".list") && !i.unchanged(name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// of gives the files of a farm or list.
func (s *SourceFiles) of(name string) []sourceFile {
	var out []sourceFile
	for _, p := range s.paths() {
		if farmOrList(p) == name {
			out = append(out, s.files[p])
		}
	}
	return out
}

// mixed gives the files as they are, but what is kept as it was.
func (i *isolation) mixed() *SourceFiles {
	mixed := &SourceFiles{files: map[string]sourceFile{}}
	mixed.addFrom(i.now, func(name string) bool { return !slices.Contains(i.kept, name) })
	mixed.addFrom(i.last, func(name string) bool { return slices.Contains(i.kept, name) })
	return mixed
}

// take adds the files of others that are wanted, under the directories that they were in.
func (s *SourceFiles) addFrom(from *SourceFiles, wanted func(item string) bool) {
	index := make([]int, len(from.dirs))
	for n, dir := range from.dirs {
		if index[n] = slices.Index(s.dirs, dir); index[n] < 0 {
			index[n] = len(s.dirs)
			s.dirs = append(s.dirs, dir)
		}
	}
	for _, p := range from.paths() {
		if f := from.files[p]; wanted(farmOrList(p)) {
			f.dir = index[f.dir]
			s.files[p] = f
		}
	}
}

// words say what became of what is kept.
func (i *isolation) descriptions() []string {
	var out []string
	for _, name := range i.kept {
		kind := "farm "
		if strings.HasSuffix(name, ".list") {
			kind = "list "
		}
		plain := strings.TrimSuffix(name, path.Ext(name))
		if len(i.last.of(name)) == 0 {
			out = append(out, fmt.Sprintf("the %s%s is left out, as it was never loaded", kind, plain))
		} else {
			out = append(out, fmt.Sprintf("the %s%s stays as it was loaded last", kind, plain))
		}
	}
	return out
}
