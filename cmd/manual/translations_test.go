package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"farmc/compiler"
	"farmc/compiler/farm"
)

// packaged is the directory of the files that the package installs beside the recipes.
const packaged = "../../debian/examples"

// TestTranslations: the farms beside configurations of other programs compile without a word, and farmc-examples(7)
// names every file.
func TestTranslations(t *testing.T) {
	directories, err := filepath.Glob(filepath.Join(packaged, "from-*"))
	if err != nil || len(directories) < 3 {
		t.Fatal(directories, err)
	}
	page := readPage(t, "farmc-examples.7")
	for _, directory := range directories {
		script, told := compiler.Compile([]farm.Dir{{FS: os.DirFS(directory)}})
		if script == nil || len(told) > 0 {
			t.Errorf("%s: %s", directory, printed(told))
		}
		files, err := fs.ReadDir(os.DirFS(directory), ".")
		if err != nil {
			t.Fatal(err)
		}
		if name := filepath.Base(directory); !strings.Contains(page, "*"+name+"*") {
			t.Errorf("farmc-examples(7) lacks %s", name)
		}
		for _, f := range files {
			if !strings.Contains(page, "**"+f.Name()+"**") {
				t.Errorf("farmc-examples(7) lacks %s of %s", f.Name(), directory)
			}
		}
	}
}

// TestTranslatedConfiguration: keepalived takes the configuration that a farm is translated from.
func TestTranslatedConfiguration(t *testing.T) {
	program, err := exec.LookPath("keepalived")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	file := filepath.Join(packaged, "from-keepalived/site.conf")
	if text, err := exec.Command(program, "--config-test", "--use-file", file).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, text)
	}
}
