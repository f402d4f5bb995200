package live

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"farmc/cmd/internal/source"
	"farmc/compiler"
	"farmc/compiler/diag"
)

// ErrExists reports that a farm has a file already.
var ErrExists = errors.New("the farm exists")

// NewFarm writes the file of a new farm into the first directory, after it has compiled it alone and together with the
// other farms. An existing file is never replaced. It returns the path of the file, and the diagnostics that concern
// it.
func (e *Engine) NewFarm(name string, text []byte) (string, diag.Diagnostics, error) {
	defer e.exclusive()()
	base := name + ".toml"
	path := filepath.Join(e.Dirs[0].Path, base)
	if filepath.Base(base) != base {
		return path, nil, fmt.Errorf("%q cannot be the name of a farm: it is part of a path", name)
	}
	for _, d := range e.Dirs {
		existing := filepath.Join(d.Path, base)
		if _, err := os.Lstat(existing); err == nil {
			return path, nil, fmt.Errorf("%w: %s is not overwritten", ErrExists, existing)
		}
	}
	if diagnostics, err := e.compileNew(base, text); err != nil {
		return path, diagnostics, err
	}
	diagnostics := concerns(e.compileWith([]source.Change{{Path: path, Text: text}}).diagnostics, name, path)
	if diagnostics.Faulty() {
		return path, diagnostics, ErrFaulty
	}
	return path, diagnostics, createFile(path, text)
}

// compileNew compiles the farm alone.
func (e *Engine) compileNew(base string, text []byte) (diag.Diagnostics, error) {
	alone := &source.Files{Roots: []source.Dir{{Path: e.Dirs[0].Path}}, ByPath: map[string]source.File{}}
	alone.Add(source.File{Name: base, Text: text})
	c := compileLocal(&compiler.Compiler{}, alone, alone.Dirs())
	switch {
	case c.script == nil:
		return c.diagnostics, ErrFaulty
	case len(c.script.Farms) != 1:
		return nil, fmt.Errorf("%q cannot be the name of a farm file: it is hidden", base)
	}
	return nil, nil
}

// concerns returns the diagnostics at the file of a farm, and the ones that name it as the other side of a conflict.
func concerns(diagnostics diag.Diagnostics, farm, path string) diag.Diagnostics {
	return slices.DeleteFunc(diagnostics, func(d diag.Diagnostic) bool {
		also := slices.ContainsFunc(d.Also, func(n diag.Note) bool { return n.Place.File == path })
		return d.Place.File != path && d.Farm != farm && !also
	})
}

// createFile creates a file that is complete from the start, and fails if there is one of its name.
func createFile(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".farmc-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}
