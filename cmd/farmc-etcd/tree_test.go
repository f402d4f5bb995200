package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFullDisk: a change that finds no room leaves the files as they are.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=32k"); err != nil {
		t.Skip("cannot mount a small disk: ", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, 0) })

	tr := &tree{link: filepath.Join(disk, "farms")}
	before := &contents{revision: 1, files: map[string]string{"web.toml": "mode = 'dnat'"}}
	if err := errors.Join(tr.open(), tr.write(nil, before)); err != nil {
		t.Fatal(err)
	}
	changed := tr.changed
	for _, files := range []map[string]string{
		{"web.toml": strings.Repeat("#", 1<<16)},
		{"web.toml": strings.Repeat("#", 1<<16), "mail.toml": ""},
	} {
		if err := tr.write(before, &contents{revision: 2, files: files}); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("a change of %d files: %v", len(files), err)
		}
		text, err := os.ReadFile(filepath.Join(tr.link, "web.toml"))
		if err != nil || string(text) != before.files["web.toml"] || tr.changed != changed {
			t.Errorf("a change of %d files leaves %d bytes: %v", len(files), len(text), err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(disk, "*", ".*")); len(left) > 0 {
		t.Error("left on the disk:", left)
	}
}
