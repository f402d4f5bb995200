package live

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"farmc/cmd/internal/source"
	"farmc/compiler"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/toml"
)

// faultyDropIns are the drop-ins that a load sets aside. A program that writes one wrong drop-in must not keep the
// outage of another backend from being loaded.
type faultyDropIns struct {
	diagnostics diag.Diagnostics // their faults
	aside       []aside
}

// An aside is a drop-in that is not loaded as it is. Its version of the last load stays in force. Without one it is
// left out, unless it sets access or limits: a load must not take more clients than the files intend.
type aside struct {
	item, path string       // the file name of the farm, and the path of the drop-in
	last       *source.File // nil: there is no other version
}

// setAside returns the compilation without the faults of drop-ins, as far as that is possible, and the drop-ins that
// are not loaded as they are. A farm that has faults without them is returned as it is.
func (e *Engine) setAside(c *compilation) (*compilation, faultyDropIns) {
	s := c.setting()
	if !s.needed() || !s.repair(e.lastSources()) {
		return c, faultyDropIns{}
	}
	sources := without(c.sources, s.aside)
	mixed := compileKnowing(knownRoutes{to: c.routes}, &e.memory().incremental, sources, sources.Dirs())
	if e.memory().farms = nil; mixed.script != nil {
		e.memory().farms = mixed.script.Farms
	}
	mixed.diagnostics = append(s.ofFiles(mixed.diagnostics), s.unread()...)
	mixed.standFor(c)
	return mixed, faultyDropIns{s.repaired, s.aside}
}

// setAsideUnchanged is setAside for a compilation with changes of files. No change is set aside: one with a fault is
// refused.
func (e *Engine) setAsideUnchanged(c *compilation, changes []source.Change) (*compilation, faultyDropIns) {
	usable, faulty := e.setAside(c)
	for _, a := range faulty.aside {
		if slices.ContainsFunc(changes, func(change source.Change) bool { return change.Path == a.path }) {
			return c, faultyDropIns{}
		}
	}
	return usable, faulty
}

// report adds the drop-ins that were set aside to the result of a load. Their faults make the load fail, like the
// faults of an isolated farm.
func (f faultyDropIns) report(p Plan, diagnostics diag.Diagnostics, err error) (Plan, diag.Diagnostics, error) {
	if len(f.aside) == 0 {
		return p, diagnostics, err
	}
	diagnostics = append(slices.Clone(f.diagnostics), diagnostics...)
	diagnostics.Sort()
	if err == nil || errors.Is(err, ErrUnkept) || p.Isolated != nil || p.Held != nil {
		for _, a := range f.aside {
			p.Isolated = append(p.Isolated, a.String())
		}
		err = cmp.Or(err, ErrFaulty)
	}
	return p, diagnostics, err
}

func (a aside) String() string {
	if a.last == nil {
		return fmt.Sprintf("drop-in %s is left out", a.path)
	}
	return fmt.Sprintf("drop-in %s stays as it was loaded last", a.path)
}

// A setting looks for the drop-ins of a compilation to set aside.
type setting struct {
	c        *compilation
	dropIns  map[string][]string    // paths of the drop-ins of each farm, by the farm's file name
	last     map[string]source.File // drop-ins of the last load, by the names of farm and drop-in
	aside    []aside
	repaired diag.Diagnostics // the faults that end with that
	compiler compiler.Compiler
}

func (c *compilation) setting() *setting {
	s := &setting{c: c, dropIns: map[string][]string{}}
	for _, p := range c.sources.Paths() {
		if source.IsDropIn(p) {
			item := source.Item(p)
			s.dropIns[item] = append(s.dropIns[item], p)
		}
	}
	return s
}

// needed reports whether a farm with drop-ins has a fault, or a drop-in may be empty by mistake.
func (s *setting) needed() bool {
	if s.c.untrustedDir {
		return false
	}
	faulty := slices.ContainsFunc(s.c.faults, func(d diag.Diagnostic) bool { return len(s.blamed(d)) > 0 })
	return faulty || len(s.empty()) > 0
}

// blamed returns the farms with drop-ins that a fault names.
func (s *setting) blamed(d diag.Diagnostic) []string {
	if d.Severity != diag.Fault || d.Message == "" { // faults of permissions have no message here
		return nil
	}
	return slices.DeleteFunc(farmsAndLists(d), func(item string) bool {
		return len(s.dropIns[item]) == 0 && !(source.IsDropIn(d.Place.File) && source.Item(d.Place.File) == item)
	})
}

// empty returns the paths of the drop-ins that are empty.
func (s *setting) empty() (paths []string) {
	for _, ofFarm := range s.dropIns {
		for _, p := range ofFarm {
			if f := s.c.sources.ByPath[p]; f.Err == nil && toml.Blank(f.Text) {
				paths = append(paths, p)
			}
		}
	}
	slices.Sort(paths)
	return paths
}

// repair finds drop-ins to set aside, farm by farm. It returns false if there are none.
func (s *setting) repair(last *source.Files) bool {
	s.last = map[string]source.File{}
	for _, p := range last.Paths() {
		if source.IsDropIn(p) {
			s.last[source.Item(p)+"/"+path.Base(p)] = last.ByPath[p]
		}
	}
	faults := map[string]diag.Diagnostics{}
	for _, d := range append(slices.Clone(s.c.faults), s.emptied()...) {
		for _, item := range s.blamed(d) {
			faults[item] = append(faults[item], d)
		}
	}
	for _, item := range slices.Sorted(maps.Keys(faults)) {
		if found := s.repairFarm(item, faults[item]); found != nil {
			s.aside = append(s.aside, found...)
			s.repaired = append(s.repaired, faults[item]...)
		}
	}
	return len(s.aside) > 0
}

// emptied returns a fault for each drop-in that is empty, and set access or limits at the last load: its writer may
// have been stopped.
func (s *setting) emptied() (faults diag.Diagnostics) {
	for _, p := range s.empty() {
		if was := s.lastVersion(p); was != nil && toml.Restricts(was.Text) {
			faults = append(faults, diag.Diagnostic{Place: diag.Place{File: p},
				Message: "the file is empty, and it set access or limits before",
				Hint:    "remove the file to take these back"})
		}
	}
	return faults
}

// maxSingle is how many drop-ins are tried one by one if the fault is not at the place of one.
const maxSingle = 16

// repairFarm returns the drop-ins of a farm to set aside, so that its own files have no fault, or nil. The drop-ins
// with the places of the faults come first, then each other drop-in that changed, then all of these.
func (s *setting) repairFarm(item string, faults diag.Diagnostics) []aside {
	var faulty []aside
	for _, d := range faults {
		if file := d.Place.File; source.IsDropIn(file) && source.Item(file) == item {
			faulty = s.add(faulty, file)
		}
	}
	if len(faulty) > 0 && s.compiles(item, faulty) {
		return faulty
	}
	all := faulty
	for i, file := range s.changed(item) {
		if i < maxSingle {
			if one := s.add(faulty, file); len(one) > len(faulty) && s.compiles(item, one) {
				return one
			}
		}
		all = s.add(all, file)
	}
	if len(all) > len(faulty) && s.compiles(item, all) {
		return all
	}
	return nil
}

// add adds a drop-in once. One that sets access or limits is not added if it has no other version. The same text can
// have been loaded last: a value that a later drop-in replaced has no fault.
func (s *setting) add(to []aside, file string) []aside {
	if slices.ContainsFunc(to, func(a aside) bool { return a.path == file }) {
		return to
	}
	text, a := s.c.sources.ByPath[file].Text, aside{item: source.Item(file), path: file, last: s.lastVersion(file)}
	if a.last != nil && bytes.Equal(a.last.Text, text) {
		a.last = nil
	}
	if a.last == nil && toml.Restricts(text) {
		return to
	}
	return append(slices.Clip(to), a)
}

// lastVersion returns the drop-in of this name at the last load, or nil.
func (s *setting) lastVersion(file string) *source.File {
	if f, ok := s.last[source.Item(file)+"/"+path.Base(file)]; ok {
		return &f
	}
	return nil
}

// changed returns the paths of the farm's drop-ins that differ from the last load.
func (s *setting) changed(item string) (paths []string) {
	for _, p := range s.dropIns[item] {
		was := s.lastVersion(p)
		if was == nil || !bytes.Equal(was.Text, s.c.sources.ByPath[p].Text) {
			paths = append(paths, p)
		}
	}
	return paths
}

// compiles reports whether the farm's own files have no fault without the drop-ins.
func (s *setting) compiles(item string, dropIns []aside) bool {
	files := append(s.c.sources.Of(item), s.c.sources.Of(farm.DefaultsFile)...)
	lists := slices.ContainsFunc(files, func(f source.File) bool { return bytes.ContainsAny(f.Text, `@\`) })
	own := &source.Files{ByPath: map[string]source.File{}}
	own.AddFrom(s.c.sources, func(name string, f source.File) bool {
		return name == item || name == farm.DefaultsFile || lists && strings.HasSuffix(name, ".list") || f.IsAnswers()
	})
	own = without(own, dropIns)
	return compileKnowing(knownRoutes{to: s.c.routes}, &s.compiler, own, own.Dirs()).script != nil
}

// without returns the files without drop-ins, or with their version of the last load.
func without(s *source.Files, dropIns []aside) *source.Files {
	out := &source.Files{Roots: slices.Clone(s.Roots), ByPath: map[string]source.File{}}
	for p, f := range s.ByPath {
		if !slices.ContainsFunc(dropIns, func(a aside) bool { return a.path == p }) {
			out.ByPath[p] = f
		}
	}
	for _, a := range dropIns {
		if a.last != nil {
			f := *a.last
			f.Dir, f.Name = dirOf(s, a.path), a.item+".d/"+path.Base(a.path)
			out.Add(f)
		}
	}
	return out
}

// ofFiles returns the diagnostics that are not about the earlier version of a drop-in: its places are in a text that no
// file has.
func (s *setting) ofFiles(all diag.Diagnostics) diag.Diagnostics {
	return slices.DeleteFunc(slices.Clone(all), func(d diag.Diagnostic) bool {
		return slices.ContainsFunc(s.aside, func(a aside) bool { return a.path == d.Place.File })
	})
}

// dirOf returns the index of the directory of farms that a drop-in is in.
func dirOf(s *source.Files, dropIn string) int {
	dir := path.Dir(path.Dir(dropIn))
	return max(0, slices.IndexFunc(s.Roots, func(d source.Dir) bool { return path.Clean(d.Path) == dir }))
}

// unread returns the faults of files that could not be read: the sources lack these files. Repaired faults are left
// out.
func (s *setting) unread() (faults diag.Diagnostics) {
	for _, d := range s.c.faults {
		f, read := s.c.sources.ByPath[d.Place.File]
		isRepaired := slices.ContainsFunc(s.repaired, func(r diag.Diagnostic) bool {
			return r.Place == d.Place && r.Message == d.Message
		})
		if d.Severity == diag.Fault && d.Message != "" && (!read || f.Err != nil) && !isRepaired {
			faults = append(faults, d)
		}
	}
	return faults
}
