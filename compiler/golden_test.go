package compiler

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"farmc/compiler/diag"
)

var update = flag.Bool("update", false, "write the goldens anew")

// goldenFile gives the path of a file or directory in golden/, which is beside go.mod.
func goldenFile(t testing.TB, name ...string) string {
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

// TestGolden compiles the cases in golden/, each named for the rule that it holds: a directory of farms, lists and
// drop-ins with the script.nft or the diagnostics.txt that they make (both, if all that is told are warnings). Where
// a rule is about several --dir, the case holds them as directories 1, 2, ..., from low to high precedence.
func TestGolden(t *testing.T) {
	for _, name := range cases(t) {
		t.Run(name, func(t *testing.T) {
			script, told := Compile(caseDirs(t, name))
			var said bytes.Buffer
			told.Print(&said, diag.Palette{})
			var text []byte
			if script != nil {
				text = script.Text
			}
			golden(t, name, "script.nft", text)
			golden(t, name, "diagnostics.txt", said.Bytes())
		})
	}
}

// TestGoldenForms reads every golden script by the grammar that keeps strangers' statements out.
func TestGoldenForms(t *testing.T) {
	for _, s := range goldenScripts(t) {
		if _, err := readScript(string(s.text)); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
	}
}

// cases are the names of all cases of farms, and reloadCases of farms that change.
func cases(t testing.TB) []string {
	return casesWhere(t, func(name string) bool { return !isReload(t, name) })
}

func reloadCases(t testing.TB) []string {
	return casesWhere(t, func(name string) bool { return isReload(t, name) })
}

func isReload(t testing.TB, name string) bool {
	_, err := os.Stat(goldenFile(t, name, "before"))
	return err == nil
}

func casesWhere(t testing.TB, fits func(name string) bool) []string {
	t.Helper()
	entries, err := os.ReadDir(goldenFile(t))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if fits(e.Name()) {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		t.Fatal("no cases")
	}
	return names
}

var numbered = regexp.MustCompile(`^[1-9]$`)

// caseDirs are the directories of a case as --dir would name them.
func caseDirs(t testing.TB, name string) []Dir {
	t.Helper()
	root := goldenFile(t, name)
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var dirs []Dir
	for _, e := range entries {
		if numbered.MatchString(e.Name()) {
			dirs = append(dirs, Dir{Path: e.Name(), FS: os.DirFS(filepath.Join(root, e.Name()))})
		}
	}
	if len(dirs) == 0 {
		dirs = []Dir{{FS: os.DirFS(root)}}
	}
	return dirs
}

// golden compares what was made with the file that holds what should be; no file stands for nothing.
func golden(t *testing.T, name, file string, got []byte) {
	t.Helper()
	path := goldenFile(t, name, file)
	if *update {
		write(t, path, got)
	}
	want, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what it should be (go test ./compiler -run Golden -update writes it anew)\ngot:\n%s\nwant:\n%s", path, got, want)
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
