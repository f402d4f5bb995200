package live

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"farmc/cmd/internal/source"
	"farmc/compiler/farm"
)

// Files gives a write the files that it changes, as they are after the writes before it in the same load, and the farms
// that were compiled last.
type Files struct {
	engine *Engine
	before []source.Change // of the writes before it, one for each file
}

// Dirs returns the directories of farms, from low to high precedence.
func (f Files) Dirs() (paths []string) {
	for _, d := range f.engine.Dirs {
		paths = append(paths, d.Path)
	}
	return paths
}

// DropInDir returns the directory for a drop-in of farmc: the last one that programs may write to, or with keep the
// first one. A directory that a reboot empties keeps nothing.
func (f Files) DropInDir(keep bool) (string, error) {
	all := f.Dirs()
	dirs := slices.DeleteFunc(slices.Clone(all), f.IsReadOnly)
	switch {
	case len(dirs) == 0, keep && len(all) > 1 && dirs[0] == all[len(all)-1]:
		return "", fmt.Errorf("%w: %s", ErrReadOnly, strings.Join(all, ", "))
	case keep:
		return dirs[0], nil
	}
	return dirs[len(dirs)-1], nil
}

// Read returns the text of a file, and nil if it does not exist.
func (f Files) Read(path string) ([]byte, error) {
	if c := f.changed(path); c != nil {
		return c.Text, nil
	}
	return readText(path)
}

// changed returns the change of a file by the writes before this one; nil if there is none.
func (f Files) changed(path string) *source.Change {
	i := slices.IndexFunc(f.before, func(c source.Change) bool { return c.Path == path })
	if i < 0 {
		return nil
	}
	return &f.before[i]
}

// Find returns the path and the text of a file in the directory of the highest precedence that has it. The path is
// empty if none has it.
func (f Files) Find(name string) (path string, text []byte, err error) {
	for _, dir := range slices.Backward(f.Dirs()) {
		path := dir + "/" + name
		if text, err := f.Read(path); text != nil || err != nil {
			return path, text, err
		}
	}
	return "", nil, nil
}

// readText returns the text of a regular file, and nil if there is no file.
func readText(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err // not nil for an empty file
}

// Farm returns a farm as it was compiled or loaded last, or an error with a suggestion. The farm may lack the backend.
func (f Files) Farm(name, backend string) (*farm.Farm, error) {
	return f.engine.knownFarm(name, backend)
}

// Reading reads the files of one farm as they are now; nil if there is no such farm, or if it is masked. Files that
// other users may write to are left out, as in a compilation.
func (f Files) Reading(name string) *farm.Reading {
	permissions := f.engine.newPermissions()
	defer permissions.Close()
	return farm.ReadOne(f.engine.sourceDirs(permissions, f.before), name)
}

// judged is Reading with the faults of the farm's own files. Lists are not read.
func (f Files) judged(name string) *farm.Reading {
	if r := f.Reading(name); r != nil {
		return r.Judged()
	}
	return nil
}

// All returns the paths of the files of this name in all directories, from low to high precedence. A name can be in the
// directory of a farm's drop-ins.
func (f Files) All(name string) (paths []string) {
	for _, dir := range f.Dirs() {
		_, err := os.Lstat(dir + "/" + name)
		if c := f.changed(dir + "/" + name); c == nil && err == nil || c != nil && c.Text != nil {
			paths = append(paths, dir+"/"+name)
		}
	}
	return paths
}

// DropIns returns the paths of the drop-ins of a farm in all directories, also of those that have no effect.
func (f Files) DropIns(name string) (paths []string) {
	for _, dir := range f.Dirs() {
		below := dir + "/" + name + ".toml.d"
		entries, _ := os.ReadDir(below) // without a directory there are none
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".toml") && !strings.HasPrefix(e.Name(), ".") {
				paths = append(paths, below+"/"+e.Name())
			}
		}
	}
	return paths
}

// Mask returns the path of the link to /dev/null that masks a farm, or "".
func (f Files) Mask(farm string) string { return f.engine.mask(farm) }

// IsReadOnly reports whether programs must not write to a directory.
func (f Files) IsReadOnly(dir string) bool {
	return slices.ContainsFunc(f.engine.ReadOnly, func(path string) bool {
		return filepath.Clean(path) == filepath.Clean(dir)
	})
}

// State returns the path of a file in the state directory.
func (f Files) State(name string) string { return filepath.Join(f.engine.Store.Dir, name) }
