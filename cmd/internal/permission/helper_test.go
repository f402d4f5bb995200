package permission

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"farmc/compiler/farm"
)

const plain, untrustedFarm = "a farm", "a farm of another user"

// dirAt returns a directory as the compiler takes it.
func dirAt(path string) farm.Dir { return farm.Dir{Path: path, FS: os.DirFS(path)} }

func writeFiles(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(root, name)
		do(t, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644))
	}
}

func do(t *testing.T, steps ...error) {
	t.Helper()
	if err := errors.Join(steps...); err != nil {
		t.Fatal(err)
	}
}

// replace changes the target of a link with rename, so the name is never missing.
func replace(link, to string) error {
	return errors.Join(os.Symlink(to, link+".new"), os.Rename(link+".new", link))
}
