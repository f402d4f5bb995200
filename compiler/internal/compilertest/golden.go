package compilertest

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"farmc/compiler/farm"
)

var update = flag.Bool("update", false, "write the goldens anew")

// GoldenFile gives the path of a file or directory in golden/, which is beside go.mod.
func GoldenFile(t testing.TB, name ...string) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(append([]string{dir, "golden"}, name...)...)
		}
		if dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal("no go.mod above the test")
	return ""
}

// Cases are the names of all cases of farms, as TOPIC/CASE.
func Cases(t testing.TB) []string {
	return casesWhere(t, func(topic string) bool { return topic != reloads })
}

// ReloadCases are the names of all cases of farms that change.
func ReloadCases(t testing.TB) []string {
	return casesWhere(t, func(topic string) bool { return topic == reloads })
}

// reloads is the topic of farms that change: its cases hold the farms before and after.
const reloads = "reload"

func casesWhere(t testing.TB, fits func(topic string) bool) []string {
	t.Helper()
	root := GoldenFile(t)
	paths, err := filepath.Glob(filepath.Join(root, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range paths {
		if name, err := filepath.Rel(root, path); err == nil && fits(filepath.Dir(name)) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		t.Fatal("no cases")
	}
	return names
}

var numbered = regexp.MustCompile(`^[1-9]$`)

// CaseDirs are the directories of a case as --dir would name them.
func CaseDirs(t testing.TB, name string) []farm.Dir {
	t.Helper()
	root := GoldenFile(t, name)
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var dirs []farm.Dir
	for _, e := range entries {
		if numbered.MatchString(e.Name()) {
			dirs = append(dirs, farm.Dir{Path: e.Name(), FS: farmsIn(filepath.Join(root, e.Name()))})
		}
	}
	if len(dirs) == 0 {
		dirs = []farm.Dir{{FS: farmsIn(root)}}
	}
	return append(dirs, answersIn(root)...)
}

// answersIn gives the directory with the answers of a case, if it has some.
func answersIn(root string) []farm.Dir {
	if _, err := os.Stat(filepath.Join(root, farm.AnswersFile)); err != nil {
		return nil
	}
	return []farm.Dir{{FS: os.DirFS(root), Answers: true}}
}

// Golden compares a result with the golden file; a missing file stands for an empty result.
func Golden(t *testing.T, name, file string, got []byte) {
	t.Helper()
	path := GoldenFile(t, name, file)
	if *update {
		write(t, path, got)
	}
	want, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what it should be (make golden writes it anew)\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	err := os.Remove(path)
	if len(text) > 0 {
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

// A GoldenScript is a script in golden/.
type GoldenScript struct {
	Name string
	Text []byte
}

// GoldenScripts are the scripts of all cases that have one, in the order of their names.
func GoldenScripts(t *testing.T) []GoldenScript {
	t.Helper()
	var all []GoldenScript
	for _, name := range Cases(t) {
		text, err := os.ReadFile(GoldenFile(t, name, "script.nft"))
		if err == nil {
			all = append(all, GoldenScript{name, text})
		}
	}
	if len(all) == 0 {
		t.Fatal("no scripts")
	}
	return all
}

// farmsIn is a directory without the diagnostics that its farms make: farmc warns of a file with that ending.
func farmsIn(dir string) fs.FS { return farmFiles{os.DirFS(dir).(directory)} }

type directory interface {
	fs.ReadFileFS
	fs.StatFS
	fs.ReadLinkFS
}

type farmFiles struct{ directory }

func (f farmFiles) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(f.directory, name)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.Name() == "diagnostics.txt" }), err
}
