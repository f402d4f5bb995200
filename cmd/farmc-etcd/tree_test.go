package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestFullDisk: a change that finds no room leaves the files as they are.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "size=32k")
	tr := newTree(filepath.Join(disk, "farms"))
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

// TestOldDirectories: a directory that is no longer in use stays for a minute, for programs that read it.
func TestOldDirectories(t *testing.T) {
	t.Parallel()
	tr := newTree(filepath.Join(t.TempDir(), "farms"))
	first := &contents{revision: 1, files: map[string]string{"web.toml": "1", "mail.toml": "1"}}
	second := &contents{revision: 2, files: map[string]string{"web.toml": "2", "mail.toml": "2"}}
	if err := errors.Join(tr.open(), tr.write(nil, first)); err != nil {
		t.Fatal(err)
	}
	old := tr.current()
	began := time.Now()
	if err := tr.write(first, second); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		after time.Duration
		stays bool
	}{{59 * time.Second, true}, {time.Minute + time.Since(began), false}} {
		tr.removeOld(began.Add(c.after))
		if has(old, first.files) != c.stays {
			t.Errorf("after %s the files are there: %v, want %v", c.after, !c.stays, c.stays)
		}
	}
	if !has(tr.link, second.files) {
		t.Error("the directory in use is gone, too")
	}
}

// smallDisk mounts a file system until the end of the test.
func smallDisk(t *testing.T, options string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skip("cannot mount a small disk: ", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
	return dir
}

// TestSyncFails: an error after other programs see a change leaves the files of the change, and the next change starts
// from them.
func TestSyncFails(t *testing.T) {
	t.Parallel()
	old := map[string]string{"web.toml": "1", "mail.toml": "2"}
	for name, changed := range map[string]map[string]string{
		"one file":  {"web.toml": "3", "mail.toml": "2"},
		"two files": {"web.toml": "3", "mail.toml": "4"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &mirror{options: &options{stderr: t.Output()}, tree: newTree(filepath.Join(t.TempDir(), "farms"))}
			if err := m.tree.open(); err != nil {
				t.Fatal(err)
			}
			m.take(&contents{revision: 1, files: old})
			m.tree.sync = func(string) error { return syscall.EIO }
			m.take(&contents{revision: 2, files: changed})
			if m.told == "" || !has(m.tree.link, changed) {
				t.Errorf("%q is told, and the files are not those of the change", m.told)
			}
			m.tree.sync = syncDir
			m.take(&contents{revision: 3, files: old})
			if m.told != "" || !has(m.tree.link, old) {
				t.Errorf("%q is told, and the files are not those of the next change", m.told)
			}
		})
	}
}
