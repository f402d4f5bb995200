package live

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"farmc/cmd/internal/journal"
	"farmc/cmd/internal/nft"
	"farmc/cmd/internal/source"
	"farmc/cmd/internal/testmachine"
	"farmc/compiler/farm"
)

const (
	webFarm  = "listen = '192.0.2.1:80'\n[backends]\nb1.address = '10.0.0.1'\nb2.address = '10.0.0.2'\n"
	mailFarm = "listen = '192.0.2.2:25'\n[backends]\nm1.address = '10.0.0.3'\n"
)

// replacing returns a write that replaces text in the file of a farm.
func replacing(name, old, new string) Write {
	return Write{Item: name, Changes: func(files Files) ([]source.Change, error) {
		path, before, err := files.Find(name)
		after := strings.Replace(string(before), old, new, 1)
		return []source.Change{{Path: path, Text: []byte(after), Before: before}}, err
	}}
}

// agree checks that the kernel, the state directory and the files have the same rules.
func agree(t *testing.T, e *Engine) {
	t.Helper()
	script, diagnostics := (&Engine{Dirs: e.Dirs, Log: t.Logf}).Compile()
	if script == nil {
		t.Fatalf("the files do not compile: %v", diagnostics)
	}
	kernel, err := e.Nft.Loaded(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	last, err := e.Store.Loaded()
	if err != nil {
		t.Fatal(err)
	}
	if kernel != script.Digest || last.Digest != script.Digest {
		t.Errorf("the kernel has %.8s, the state directory %.8s, the files %.8s", kernel, last.Digest, script.Digest)
	}
	for _, dir := range []string{e.Dirs[0].Path, e.Store.Dir} {
		left, _ := filepath.Glob(dir + "/.farmc-*")
		if journal, _ := filepath.Glob(dir + "/writes.json*"); len(left)+len(journal) > 0 {
			t.Errorf("%v %v are left", left, journal)
		}
	}
}

func contains(t *testing.T, path, text string, want bool) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(got), text) != want {
		t.Errorf("%s has the text %q", path, got)
	}
}

func TestWriteLoadsAndSaves(t *testing.T) {
	e, farms := engineFor(t, map[string]string{"web.toml": webFarm})
	r := e.Write(t.Context(), replacing("web.toml", "10.0.0.2", "10.0.0.9"))
	if r.Err != nil {
		t.Fatal(r.Err, r.Diagnostics)
	}
	contains(t, farms+"/web.toml", "10.0.0.9", true)
	agree(t, e)
}

func TestWriteWithoutEffectLoadsNothing(t *testing.T) {
	e, farms := engineFor(t, map[string]string{"web.toml": webFarm})
	if r := e.Write(t.Context(), replacing("web.toml", "", "")); r.Err != nil {
		t.Fatal(r.Err)
	}
	e.Nft.Path = "/nonexistent" // a load would fail
	if r := e.Write(t.Context(), replacing("web.toml", "listen", "# a comment\nlisten")); r.Err != nil {
		t.Fatal(r.Err)
	}
	contains(t, farms+"/web.toml", "# a comment", true)
	agree(t, e)
}

func TestWriteWithFaultChangesNothing(t *testing.T) {
	e, farms := engineFor(t, map[string]string{"web.toml": webFarm, "mail.toml": mailFarm})
	if _, _, err := e.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := e.Write(t.Context(), replacing("web.toml", "10.0.0.2", "nonsense"))
	if !errors.Is(r.Err, ErrFaulty) || len(r.Diagnostics) != 1 || r.Diagnostics[0].Place.Line != 4 {
		t.Errorf("Write gives %v, %v", r.Err, r.Diagnostics)
	}
	r = e.Write(t.Context(), replacing("web.toml", "192.0.2.1:80", "192.0.2.2:25")) // the frontend of mail
	if !errors.Is(r.Err, ErrFaulty) {
		t.Errorf("Write gives %v, %v", r.Err, r.Diagnostics)
	}
	contains(t, farms+"/web.toml", webFarm, true)
	agree(t, e)
}

func TestWriteDespiteFaultOfAnotherFarm(t *testing.T) {
	e, farms := engineFor(t, map[string]string{"web.toml": webFarm, "mail.toml": mailFarm})
	if _, _, err := e.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	testmachine.Write(t, farms, map[string]string{"mail.toml": "lisen = 1"})
	if r := e.Write(t.Context(), replacing("web.toml", "10.0.0.2", "10.0.0.9")); r.Err != nil {
		t.Fatal(r.Err, r.Diagnostics)
	}
	testmachine.Write(t, farms, map[string]string{"mail.toml": mailFarm})
	contains(t, farms+"/web.toml", "10.0.0.9", true)
	agree(t, e)
}

// A write logs the changes of farms that it is not about, once.
func TestWriteLoadsEditsOfOthers(t *testing.T) {
	e, farms := engineFor(t, map[string]string{"web.toml": webFarm, "mail.toml": mailFarm})
	if _, _, err := e.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	var log []string
	e.Log = func(format string, args ...any) { log = append(log, fmt.Sprintf(format, args...)) }
	if err := os.Remove(farms + "/mail.toml"); err != nil {
		t.Fatal(err)
	}
	for _, w := range []Write{replacing("web.toml", "10.0.0.2", "10.0.0.8"),
		replacing("web.toml", "10.0.0.8", "10.0.0.9")} {
		if r := e.Write(t.Context(), w); r.Err != nil {
			t.Fatal(r.Err, r.Diagnostics)
		}
	}
	if want := []string{"mail: gone"}; !slices.Equal(log, want) {
		t.Errorf("the log has %q, want %q", log, want)
	}
	agree(t, e)
}

// nft refuses a script with this line.
func TestWriteThatNftRefuses(t *testing.T) {
	e, farms := engineFor(t, map[string]string{"web.toml": webFarm})
	if _, _, err := e.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	real := e.Nft
	refusing := filepath.Join(filepath.Dir(farms), "nft")
	script := "#!/bin/sh\nscript=$(cat)\n" +
		"case $script in *10.0.0.9*) echo '/dev/stdin:3:1-1: Error: no' >&2; exit 1;; esac\n" +
		"printf '%s\\n' \"$script\" | exec nft \"$@\"\n"
	if err := os.WriteFile(refusing, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	e.Nft = nft.Nft{Path: refusing}
	r := e.Write(t.Context(), replacing("web.toml", "10.0.0.2", "10.0.0.9"))
	if !errors.Is(r.Err, ErrRefused) {
		t.Errorf("Write gives %v, %v", r.Err, r.Diagnostics)
	}
	e.Nft = real
	contains(t, farms+"/web.toml", webFarm, true)
	agree(t, e)
}

// A person changes the file after the write has read it, once and always.
func TestWriteMeetsAnEdit(t *testing.T) {
	for _, edits := range []int{1, 100} {
		e, farms := engineFor(t, map[string]string{"web.toml": webFarm})
		if _, _, err := e.Apply(t.Context()); err != nil {
			t.Fatal(err)
		}
		w := replacing("web.toml", "10.0.0.2", "10.0.0.9")
		change, calls := w.Changes, 0
		w.Changes = func(files Files) ([]source.Change, error) {
			changes, err := change(files)
			if calls++; calls <= edits {
				text := webFarm + strings.Repeat("# edited\n", calls)
				testmachine.Write(t, farms, map[string]string{"web.toml": text})
			}
			return changes, err
		}
		r := e.Write(t.Context(), w)
		if conflict := errors.Is(r.Err, ErrConflict); conflict != (edits > 1) {
			t.Errorf("%d edits: Write gives %v", edits, r.Err)
		}
		contains(t, farms+"/web.toml", "# edited", true)
		contains(t, farms+"/web.toml", "10.0.0.9", edits == 1)
		agree(t, e)
	}
}

// A write begins again if its file is edited during its load, and logs the change of the edit.
func TestWriteIsOvertaken(t *testing.T) {
	e, farms := engineFor(t, map[string]string{"web.toml": webFarm})
	if _, _, err := e.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	var log []string
	e.Log = func(format string, args ...any) { log = append(log, fmt.Sprintf(format, args...)) }
	w, checks := replacing("web.toml", "10.0.0.2", "10.0.0.9"), 0
	w.Check = func([]*farm.Farm) error {
		if checks++; checks == 2 { // the kernel has the rules, and the file is not written yet
			edited := strings.Replace(webFarm, "10.0.0.1", "10.0.0.7", 1)
			testmachine.Write(t, farms, map[string]string{"web.toml": edited})
		}
		return nil
	}
	if r := e.Write(t.Context(), w); r.Err != nil {
		t.Fatal(r.Err, r.Diagnostics)
	}
	if want := []string{"web: backend b1 address 10.0.0.1 → 10.0.0.7"}; !slices.Equal(log, want) {
		t.Errorf("the log has %q, want %q", log, want)
	}
	contains(t, farms+"/web.toml", "10.0.0.7", true)
	contains(t, farms+"/web.toml", "10.0.0.9", true)
	agree(t, e)
}

// The other writes of a batch succeed.
func TestWriteAll(t *testing.T) {
	another := strings.Replace(webFarm, ".1:80", ".7:80", 1)
	e, farms := engineFor(t, map[string]string{"web.toml": webFarm, "mail.toml": mailFarm, "a.toml": another})
	results := e.WriteAll(t.Context(), []Write{
		replacing("web.toml", "10.0.0.2", "10.0.0.9"),
		replacing("mail.toml", "10.0.0.3", "nonsense"),
		{Item: "b.toml", Changes: func(Files) ([]source.Change, error) { return nil, os.ErrNotExist }},
		replacing("a.toml", "10.0.0.2", "10.0.0.8"),
	})
	if results[0].Err != nil || !errors.Is(results[1].Err, ErrFaulty) || !errors.Is(results[2].Err, os.ErrNotExist) ||
		results[3].Err != nil {
		t.Errorf("WriteAll gives %v", results)
	}
	contains(t, farms+"/web.toml", "10.0.0.9", true)
	contains(t, farms+"/a.toml", "10.0.0.8", true)
	contains(t, farms+"/mail.toml", mailFarm, true)
	agree(t, e)
}

// The errors of a change of a state or a weight tell whether the farm or the backend exists.
func TestErrorsOfStateAndWeight(t *testing.T) {
	e, _ := engineFor(t, map[string]string{"bad.toml": "lisen = 1", "web.toml": webFarm})
	for _, want := range []struct {
		farm, backend string
		err           error
	}{{"bad", "b1", ErrNotLoaded}, {"none", "b1", ErrNoFarm}, {"web", "b9", ErrNoBackend}} {
		for _, w := range []Write{StateChange{Farm: want.farm, Backend: want.backend, State: farm.Down}.Write(),
			WeightChange{Farm: want.farm, Backend: want.backend, Weight: 5}.Write()} {
			if r := e.Write(t.Context(), w); !errors.Is(r.Err, want.err) {
				t.Errorf("%s, %s: %v, want %v", want.farm, want.backend, r.Err, want.err)
			}
		}
		if want.farm == "bad" {
			testmachine.Must(t, os.Remove(e.Dirs[0].Path+"/bad.toml"))
		}
	}
}

// A new farm takes no place of a link that leads nowhere.
func TestWriteToDanglingLink(t *testing.T) {
	e, farms := engineFor(t, map[string]string{"web.toml": webFarm})
	testmachine.Must(t, os.Symlink("/nonexistent/new.toml", farms+"/new.toml"))
	w := Write{Item: "new.toml", Changes: func(Files) ([]source.Change, error) {
		return []source.Change{{Path: farms + "/new.toml", Text: []byte(mailFarm)}}, nil
	}}
	for _, w.DryRun = range []bool{true, false} {
		r := e.Write(t.Context(), w)
		if !errors.Is(r.Err, ErrDangling) || !strings.Contains(r.Err.Error(), "/new.toml leads to /nonexistent/") {
			t.Errorf("Write gives %v, dry run: %t", r.Err, w.DryRun)
		}
	}
}

// Without CAP_CHOWN, as in the sandbox of farmc-watch.service, the new text of a file could not have its group. A dry
// run tells that, too. In a directory that gives its group to new files it can.
func TestWriteOfFileWithAnotherGroup(t *testing.T) {
	const daemon = 1
	e, farms := engineFor(t, map[string]string{"web.toml": webFarm})
	if _, _, err := e.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(farms+"/web.toml", -1, daemon); err != nil {
		t.Skip("no other group here:", err)
	}
	runtime.LockOSThread() // never unlocked, so the thread ends with the test
	var sets [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	testmachine.Must(t, unix.Capget(&header, &sets[0]))
	sets[0].Effective &^= 1 << unix.CAP_CHOWN
	testmachine.Must(t, unix.Capset(&header, &sets[0]))
	w := replacing("web.toml", "10.0.0.2", "10.0.0.9")
	for _, w.DryRun = range []bool{true, false} {
		r := e.Write(t.Context(), w)
		if !errors.Is(r.Err, ErrOwner) || !strings.Contains(r.Err.Error(), "web.toml has the group ") {
			t.Errorf("Write gives %v, dry run: %t", r.Err, w.DryRun)
		}
	}
	contains(t, farms+"/web.toml", webFarm, true)
	agree(t, e)
	sets[0].Effective |= 1 << unix.CAP_CHOWN
	testmachine.Must(t, unix.Capset(&header, &sets[0]), os.Chown(farms, -1, daemon),
		os.Chmod(farms, 0o755|os.ModeSetgid))
	sets[0].Effective &^= 1 << unix.CAP_CHOWN
	testmachine.Must(t, unix.Capset(&header, &sets[0]))
	if r := e.Write(t.Context(), w); r.Err != nil {
		t.Error(r.Err)
	}
	contains(t, farms+"/web.toml", "10.0.0.9", true)
	agree(t, e)
}

func TestWriteReadOnlyDirectory(t *testing.T) {
	e, farms := engineFor(t, map[string]string{"web.toml": webFarm})
	if _, _, err := e.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := e.Write(t.Context(), Write{Item: "new.toml", Changes: func(Files) ([]source.Change, error) {
		text := []byte(strings.Replace(webFarm, ".1:80", ".9:80", 1))
		return []source.Change{{Path: farms + "/new.toml", Text: text}, {Path: "/proc/farmc", Text: text}}, nil
	}})
	if !errors.Is(r.Err, ErrNotSaved) {
		t.Errorf("Write gives %v", r.Err)
	}
	if _, err := os.Stat(farms + "/new.toml"); err == nil {
		t.Error("the file exists")
	}
	agree(t, e)
}

// A farmc that is killed before or after its load leaves a journal. The next lock ends its step.
func TestWriteOfAKilledFarmc(t *testing.T) {
	for _, loaded := range []bool{false, true} {
		e, farms := engineFor(t, map[string]string{"web.toml": webFarm})
		if _, _, err := e.Apply(t.Context()); err != nil {
			t.Fatal(err)
		}
		after := strings.Replace(webFarm, "10.0.0.2", "10.0.0.9", 1)
		c := e.compileWith([]source.Change{{Path: farms + "/web.toml", Text: []byte(after)}})
		if _, err := journal.Prepare(e.Store.Dir, c.script.Digest, []journal.Change{
			{Path: farms + "/web.toml", Text: []byte(after), Before: []byte(webFarm)}}); err != nil {
			t.Fatal(err)
		}
		if loaded {
			if err := e.Nft.Load(t.Context(), c.script.Text); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := e.Apply(t.Context()); err != nil {
			t.Fatal(err)
		}
		contains(t, farms+"/web.toml", "10.0.0.9", loaded)
		agree(t, e)
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	e, farms := engineFor(t, map[string]string{"web.toml": webFarm})
	if _, _, err := e.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := replacing("web.toml", "10.0.0.2", "10.0.0.9")
	w.DryRun = true
	r := e.Write(t.Context(), w)
	if r.Err != nil || len(r.Changes) != 1 {
		t.Errorf("Write gives %v, %v", r.Changes, r.Err)
	}
	contains(t, farms+"/web.toml", webFarm, true)
	agree(t, e)
}
