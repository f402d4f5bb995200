package live

import (
	"bytes"
	"cmp"
	"path"
	"slices"
	"strings"

	"farmc/cmd/internal/source"
	"farmc/compiler"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// An isolation replaces faulty farms and lists by their version of the last load, or leaves them out if there is none.
//
// In a conflict between two farms the fault is with the farm that changed since the last load, because the other one is
// in service; if both changed, it is with both. So a new farm that conflicts with a kept one has to wait until the kept
// one is corrected.
//
// Faulty defaults stay as they were loaded last, too, and so do defaults that cause a fault in a farm that did not
// change. Without an earlier version of the defaults the farms of their directory are kept, because a farm must not be
// loaded without the limits that its defaults were to give it.
type isolation struct {
	now, last *source.Files
	kept      []string // file names of farms and lists in their version of the last load, such as "web.toml"
}

// isolation returns an isolation that keeps nothing yet.
func (e *Engine) isolation(c *compilation) *isolation {
	return &isolation{now: c.sources, last: e.lastSources()}
}

// lastSources returns the source files of the last load, or none if they are unknown.
func (e *Engine) lastSources() *source.Files {
	last, err := e.Store.Loaded()
	if err != nil {
		return &source.Files{}
	}
	return cmp.Or(e.Store.SourcesOf(last.Digest), &source.Files{})
}

// repair keeps the faulty farms and lists, then the ones that become faulty by that, until the farms compile. It
// returns nil if keeping files does not help.
func (i *isolation) repair(diagnostics diag.Diagnostics) *compilation {
	for i.keepFaulty(diagnostics) {
		var c *compilation
		for _, mixed := range []*source.Files{i.now.WithEdits(i.last, i.kept), i.mixed()} {
			if c = compileLocal(&compiler.Compiler{}, mixed, mixed.Dirs()); c.script != nil {
				return c
			}
		}
		diagnostics = c.diagnostics
	}
	return nil
}

// keepFaulty adds the farms and lists of each fault to the kept ones. It returns false if a fault has none to add.
func (i *isolation) keepFaulty(diagnostics diag.Diagnostics) bool {
	var add []string
	for _, d := range diagnostics {
		if d.Severity != diag.Fault {
			continue
		}
		blamed := slices.DeleteFunc(farmsAndLists(d), i.unchanged)
		if len(blamed) == 0 { // a kept farm can need the old version of a list, or of the defaults
			blamed = append(i.lists(farmsAndLists(d)), i.defaults()...)
		}
		if len(blamed) == 0 { // an earlier version of farmc took as right what is a fault now
			blamed = i.notKept(farmsAndLists(d))
		}
		if len(blamed) == 0 {
			return false
		}
		add = append(add, blamed...)
		if slices.Contains(blamed, farm.DefaultsFile) && len(i.last.Of(farm.DefaultsFile)) == 0 {
			add = append(add, i.notKept(i.farmsWithDefaults())...)
		}
	}
	i.kept = append(i.kept, add...)
	slices.Sort(i.kept)
	i.kept = slices.Compact(i.kept)
	return len(add) > 0
}

// farmsAndLists returns the file names of the farms and lists that a fault names.
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
		if name := source.Item(f); name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// unchanged reports whether a farm or list has the same files as at the last load.
func (i *isolation) unchanged(name string) bool {
	if slices.Contains(i.kept, name) {
		return true
	}
	was := i.last.Of(name)
	return len(was) > 0 && slices.EqualFunc(was, i.now.Of(name), func(a, b source.File) bool {
		return a.Name == b.Name && string(a.Text) == string(b.Text) && b.Err == nil
	})
}

// notKept returns the names without the kept ones.
func (i *isolation) notKept(names []string) []string {
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(i.kept, name) })
}

// defaults returns the item of the defaults if they changed since the last load.
func (i *isolation) defaults() []string {
	changed := len(i.now.Of(farm.DefaultsFile))+len(i.last.Of(farm.DefaultsFile)) > 0
	if !changed || i.unchanged(farm.DefaultsFile) {
		return nil
	}
	return []string{farm.DefaultsFile}
}

// farmsWithDefaults returns the farms in directories that have defaults.
func (i *isolation) farmsWithDefaults() (items []string) {
	for _, p := range i.now.Paths() {
		item := source.Item(p)
		_, has := i.now.ByPath[path.Join(path.Dir(p), farm.DefaultsFile)]
		if has && source.FarmOf(item) != "" && !source.IsDropIn(p) {
			items = append(items, item)
		}
	}
	return items
}

// lists returns the lists that changed since the last load, and that the farms may name.
func (i *isolation) lists(farms []string) []string {
	var out []string
	for _, s := range []*source.Files{i.now, i.last} {
		for _, p := range s.Paths() {
			if name := source.Item(p); strings.HasSuffix(name, ".list") && !i.unchanged(name) &&
				i.mayBeNamed(name, farms) {
				out = append(out, name)
			}
		}
	}
	return out
}

// mayBeNamed reports whether files of farms have the list's name, however it is written.
func (i *isolation) mayBeNamed(list string, farms []string) bool {
	name := []byte("@" + strings.TrimSuffix(list, ".list"))
	return slices.ContainsFunc(append(slices.Clip(farms), farm.DefaultsFile), func(item string) bool {
		return slices.ContainsFunc(append(i.now.Of(item), i.last.Of(item)...), func(f source.File) bool {
			return bytes.Contains(f.Text, name) || bytes.ContainsRune(f.Text, '\\')
		})
	})
}

// mixed returns the current files, with the kept farms and lists in their version of the last load.
func (i *isolation) mixed() *source.Files {
	mixed := &source.Files{ByPath: map[string]source.File{}}
	mixed.AddFrom(i.now, func(name string, _ source.File) bool { return !slices.Contains(i.kept, name) })
	mixed.AddFrom(i.last, func(name string, _ source.File) bool { return slices.Contains(i.kept, name) })
	return mixed
}

// descriptions returns a sentence for each kept or omitted farm or list.
func (i *isolation) descriptions() []string {
	var out []string
	for _, name := range i.kept {
		if len(i.last.Of(name)) == 0 {
			out = append(out, source.ItemWords(name)+" is left out, because it was never loaded")
		} else {
			out = append(out, source.ItemWords(name)+" stays as it was loaded last")
		}
	}
	return out
}
