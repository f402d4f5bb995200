package live

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"farmc/cmd/internal/source"
	"farmc/compiler"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

// CompileFile compiles one farm file alone, with the defaults and lists beside it. Drop-ins are left out. It does not
// check permissions, because nothing is loaded. The script is nil if there are faults.
func (e *Engine) CompileFile(name string) (*ruleset.Script, diag.Diagnostics, error) {
	c, err := e.compileFile(name)
	if err != nil {
		return nil, nil, err
	}
	return c.script, c.diagnostics, nil
}

// CheckFile is Check for one farm file alone.
func (e *Engine) CheckFile(ctx context.Context, name string) (*ruleset.Script, diag.Diagnostics, error) {
	c, err := e.compileFile(name)
	if err != nil {
		return nil, nil, err
	}
	return e.checkCompiled(ctx, c)
}

func (e *Engine) compileFile(name string) (*compilation, error) {
	switch info, err := os.Stat(name); {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%q is a directory; farmc check --dir checks its farms", name)
	case !strings.HasSuffix(name, ".toml"):
		return nil, fmt.Errorf("%q is not a farm file: its name must end in .toml", name)
	}
	dir := Dir(filepath.Dir(name))
	alone := &singleFarm{StatFS: dir.FS.(fs.StatFS), name: filepath.Base(name)}
	alone.text, _ = alone.ReadFile(alone.name) // the compiler reports an error
	if defaults, err := alone.ReadFile(farm.DefaultsFile); err == nil {
		alone.text = append(alone.text, defaults...)
	}
	dir.FS = alone
	sources := &source.Files{}
	dirs := append([]farm.Dir{dir}, e.answersDirs()...)
	return compileLocal(&compiler.Compiler{}, sources, sources.Cached(dirs, nil, time.Now())), nil
}

// A singleFarm is a directory without the other farms, and without lists that the farm and the defaults do not name.
type singleFarm struct {
	fs.StatFS
	name string
	text []byte // of the farm and of the defaults
}

// ReadDir returns the farm file, the defaults and their lists.
func (d *singleFarm) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(d.StatFS, name)
	return slices.DeleteFunc(entries, func(entry fs.DirEntry) bool {
		list, isList := strings.CutSuffix(entry.Name(), ".list")
		named := isList && strings.Contains(string(d.text), "@"+list)
		return entry.Name() != d.name && entry.Name() != farm.DefaultsFile && !named
	}), err
}

// ReadFile reads a regular file. Another one, such as a FIFO, can have no end.
func (d *singleFarm) ReadFile(name string) ([]byte, error) {
	info, err := d.Stat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxNamedFile {
		return nil, err
	}
	return fs.ReadFile(d.StatFS, name)
}

// maxNamedFile is the size of the largest farm whose lists are looked for, in bytes; the compiler refuses a larger one.
const maxNamedFile = 64 << 20

// ReadLink and Lstat are needed by the compiler to find masked files.
func (d *singleFarm) ReadLink(name string) (string, error) { return fs.ReadLink(d.StatFS, name) }

// Lstat returns the metadata of a file or link.
func (d *singleFarm) Lstat(name string) (fs.FileInfo, error) { return fs.Lstat(d.StatFS, name) }
