package testmachine

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Root returns a new directory that only root can change, or replace on the way to it. It is removed after the test.
func Root(t *testing.T) string {
	t.Helper()
	root, err := os.MkdirTemp("/var/lib", "farmc-test-")
	Must(t, err)
	t.Cleanup(func() { os.RemoveAll(root) })
	return root
}

// Write writes files below a directory, and creates the directories of their names.
func Write(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(root, name)
		Must(t, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644))
	}
}

// Replace changes the target of a link with rename, so the name is never missing.
func Replace(link, to string) error {
	return errors.Join(os.Symlink(to, link+".new"), os.Rename(link+".new", link))
}

// Must fails the test at once if a step has failed.
func Must(t *testing.T, steps ...error) {
	t.Helper()
	if err := errors.Join(steps...); err != nil {
		t.Fatal(err)
	}
}
