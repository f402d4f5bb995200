package journal

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// prepared writes a.toml, and prepares a step that replaces it, adds b.toml.d/x.toml and removes c.toml.
func prepared(t *testing.T) (farms, state string, step *Step) {
	t.Helper()
	farms, state = t.TempDir(), t.TempDir()
	write(t, farms+"/a.toml", "old")
	write(t, farms+"/c.toml", "gone")
	step, err := Prepare(state, "token", []Change{
		{Path: farms + "/a.toml", Text: []byte("new"), Before: []byte("old")},
		{Path: farms + "/b.toml.d/x.toml", Text: []byte("added")},
		{Path: farms + "/c.toml", Before: []byte("gone")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return farms, state, step
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// checkFiles compares all files below a directory.
func checkFiles(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		got[path[len(dir)+1:]] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range got {
		if want[name] != text {
			t.Errorf("%s has the text %q, not %q", name, text, want[name])
		}
	}
	if len(got) != len(want) {
		t.Errorf("the directory has %v, not %v", got, want)
	}
}

var (
	oldFiles = map[string]string{"a.toml": "old", "c.toml": "gone"}
	newFiles = map[string]string{"a.toml": "new", "b.toml.d/x.toml": "added"}
)

func TestCommit(t *testing.T) {
	farms, state, step := prepared(t)
	if err := step.Commit(); err != nil {
		t.Fatal(err)
	}
	checkFiles(t, farms, newFiles)
	checkFiles(t, state, nil)
}

func TestDiscard(t *testing.T) {
	farms, state, step := prepared(t)
	if err := step.Discard(); err != nil {
		t.Fatal(err)
	}
	checkFiles(t, farms, oldFiles)
	checkFiles(t, state, nil)
	if _, err := os.Stat(farms + "/b.toml.d"); !errors.Is(err, os.ErrNotExist) {
		t.Error("the new directory stays")
	}
}

func TestOpenAfterAnInterruption(t *testing.T) {
	farms, state, _ := prepared(t)
	step, err := Open(state)
	if err != nil || step == nil || step.Token != "token" || !step.Ready() {
		t.Fatalf("Open gives %+v, %v", step, err)
	}
	if err := os.Rename(step.Files[0].Temporary, step.Files[0].Path); err != nil { // killed after the first rename
		t.Fatal(err)
	}
	if err := step.Commit(); err != nil {
		t.Fatal(err)
	}
	checkFiles(t, farms, newFiles)
	if step, err := Open(state); step != nil || err != nil {
		t.Fatalf("Open gives %+v, %v after the commit", step, err)
	}
}

func TestOpenAfterAnInterruptedExchange(t *testing.T) {
	farms, state, step := prepared(t)
	r := step.Files[0]
	if err := unix.Renameat2(unix.AT_FDCWD, r.Temporary, unix.AT_FDCWD, r.Path, unix.RENAME_EXCHANGE); err != nil {
		t.Fatal(err)
	}
	step, err := Open(state)
	if err != nil {
		t.Fatal(err)
	}
	if err := step.Commit(); err != nil {
		t.Fatal(err)
	}
	checkFiles(t, farms, newFiles)
}

// A person's edit between the reading and the commit stays.
func TestCommitKeepsEditsOfOthers(t *testing.T) {
	for name, edit := range map[string]struct{ file, text string }{
		"changed": {"a.toml", "edited"}, "created": {"b.toml.d/x.toml", "mine"}, "before-removal": {"c.toml", "kept"},
	} {
		t.Run(name, func(t *testing.T) {
			farms, _, step := prepared(t)
			write(t, farms+"/"+edit.file, edit.text)
			if err := step.Verify(); !errors.Is(err, ErrChanged) {
				t.Errorf("Verify gives %v", err)
			}
			if err := step.Commit(); !errors.Is(err, ErrChanged) {
				t.Errorf("Commit gives %v", err)
			}
			want := map[string]string{"a.toml": "new", "b.toml.d/x.toml": "added"}
			want[edit.file] = edit.text
			checkFiles(t, farms, want)
		})
	}
}

// exchange meets an edit that comes after commit has read the old file.
func TestExchangeBringsBackALateEdit(t *testing.T) {
	farms, _, step := prepared(t)
	write(t, farms+"/a.toml", "edited")
	if err := step.Files[0].exchange(); !errors.Is(err, ErrChanged) {
		t.Fatalf("exchange gives %v", err)
	}
	if text, _ := os.ReadFile(farms + "/a.toml"); string(text) != "edited" {
		t.Fatalf("the edit became %q", text)
	}
}

func TestPrepareRefusesChangedFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/a.toml", "edited")
	_, err := Prepare(t.TempDir(), "", []Change{{Path: dir + "/a.toml", Text: []byte("new"), Before: []byte("old")}})
	if !errors.Is(err, ErrChanged) {
		t.Fatalf("Prepare gives %v", err)
	}
	checkFiles(t, dir, map[string]string{"a.toml": "edited"})
}

func TestPrepareLeavesNothingBehind(t *testing.T) {
	dir, state := t.TempDir(), t.TempDir()
	_, err := Prepare(state, "", []Change{
		{Path: dir + "/a.toml", Text: []byte("new")},
		{Path: "/proc/a.toml", Text: []byte("impossible")},
	})
	if err == nil {
		t.Fatal("Prepare writes to /proc")
	}
	checkFiles(t, dir, nil)
	checkFiles(t, state, nil)
}

// Without a directory for the journal, the working directory, which nothing can be written to in a service, is none.
func TestPrepareWithoutJournal(t *testing.T) {
	farms := t.TempDir()
	write(t, farms+"/a.toml", "old")
	t.Chdir("/proc")
	for _, end := range []func(*Step) error{(*Step).Discard, (*Step).Commit} {
		step, err := Prepare("", "token", []Change{
			{Path: farms + "/a.toml", Text: []byte("new"), Before: []byte("old")},
			{Path: farms + "/b.toml.d/x.toml", Text: []byte("added")},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := end(step); err != nil {
			t.Fatal(err)
		}
	}
	checkFiles(t, farms, newFiles)
}

// A file of another program that has the name of a journal stays in the working directory.
func TestPrepareWithoutJournalLeavesTheWorkingDirectory(t *testing.T) {
	farms, work := t.TempDir(), t.TempDir()
	write(t, work+"/"+name, "mine")
	t.Chdir(work)
	step, err := Prepare("", "token", []Change{{Path: farms + "/a.toml", Text: []byte("new")}})
	if err == nil {
		err = step.Commit()
	}
	if err != nil {
		t.Fatal(err)
	}
	checkFiles(t, work, map[string]string{name: "mine"})
}

func TestModeStays(t *testing.T) {
	farms, _, step := prepared(t)
	if err := step.Commit(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(farms + "/a.toml"); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the mode became %v, %v", info.Mode(), err)
	}
}
