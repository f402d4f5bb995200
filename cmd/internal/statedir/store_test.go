package statedir

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"farmc/cmd/internal/source"
	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
)

// The hand-written JSON text of loaded.json decodes to the same value.
func TestLoadedFactsJSON(t *testing.T) {
	web := farm.Description(`{"farm":{"log":"\"\u003c{farm}\u003e\" a, {\"farms\":{}}"},"backends":{}}`)
	for _, farms := range []map[string]farm.Description{
		{}, {"web": web}, {"b.c-d_e": `{"farm":{},"backends":null}`, "A": web, "web": web},
	} {
		kept := loadedFacts{"d", farms, map[string]int{`"farms":{}`: 3}, "b", "s", "e",
			[]ruleset.RouteSource{{Interface: "br0", Source: netip.MustParseAddr("10.2.0.1")}}, []uint16{53}}
		var read loadedFacts
		var written bytes.Buffer
		if err := kept.write(&written); err != nil {
			t.Fatal(err)
		}
		text := written.Bytes()
		if err := json.Unmarshal(text, &read); err != nil || !reflect.DeepEqual(read, kept) {
			t.Errorf("%v, of\n%s", err, text)
		}
	}
}

// A wait for another farmc is reported once, and only if it takes long.
func TestLockReportsLongWait(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	for held, want := range map[time.Duration]int{
		0: 0, 900 * time.Millisecond: 0, 1100 * time.Millisecond: 1, time.Hour: 1,
	} {
		synctest.Test(t, func(t *testing.T) {
			release, err := s.Lock(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(held, release)
			diagnostics := 0
			release, err = s.Lock(t.Context(), func() { diagnostics++ })
			if err != nil {
				t.Fatal(err)
			}
			release()
			if diagnostics != want {
				t.Errorf("held for %v: told %d times, want %d", held, diagnostics, want)
			}
		})
	}
}

// A cancelled wait ends, and reports no waiting afterwards.
func TestLockCancelled(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	release, err := s.Lock(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), time.Second) // at the very moment
			defer stop()
			waiting := func() {
				if ctx.Err() != nil {
					t.Error("tells of waiting at its end")
				}
			}
			if _, err := s.Lock(ctx, waiting); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
	}
}

// A trial is confirmed even if a later load followed it.
func TestConfirmed(t *testing.T) {
	const tried, before, after = "01", "02", "03"
	for _, c := range []struct {
		loaded, previous string
		want             bool
	}{
		{tried, "", true}, // no load before the trial
		{tried, before, true},
		{after, tried, true},
		{before, "", false}, // rolled back
		{after, before, false},
	} {
		s := Store{Dir: t.TempDir()}
		for name, digest := range map[string]string{loadedFile: c.loaded, previousFile: c.previous} {
			if digest == "" {
				continue
			}
			text := "\t\tct state new comment \"farmc sha256:" + strings.Repeat(digest, 32) + "\"\n"
			if err := os.WriteFile(filepath.Join(s.Dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := s.Confirmed(strings.Repeat(tried, 32)); got != c.want || err != nil {
			t.Errorf("loaded %s, previous %s: confirmed is %v, %v", c.loaded, c.previous, got, err)
		}
	}
}

// A linked file keeps its content if the other name is replaced, and linking it again is no error.
func TestStoreLink(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	read := func(name string) string {
		text, _ := os.ReadFile(filepath.Join(s.Dir, name))
		return string(text)
	}
	keep := func(name, text string) {
		t.Helper()
		if err := s.write(name, []byte(text)); err != nil {
			t.Fatal(err)
		}
		os.Rename(filepath.Join(s.Dir, name+pending), filepath.Join(s.Dir, name))
	}
	if err := s.link(previousFile, loadedFile); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	keep(loadedFile, "one")
	for range 2 { // farmc is killed after the first link
		if err := s.link(previousFile, loadedFile); err != nil {
			t.Fatal(err)
		}
		os.Rename(filepath.Join(s.Dir, previousFile+pending), filepath.Join(s.Dir, previousFile))
	}
	if read(previousFile) != "one" || read(previousFile+pending) != "" {
		t.Errorf("previous is %q, pending %q", read(previousFile), read(previousFile+pending))
	}
	if err := s.link(bootFile, loadedFile); err != nil {
		t.Fatal(err)
	}
	keep(bootFile, "two") // a pending file was left by another farmc
	keep(loadedFile, "three")
	if read(loadedFile) != "three" || read(previousFile) != "one" || read(bootFile) != "two" {
		t.Errorf("loaded %q, previous %q, boot %q", read(loadedFile), read(previousFile), read(bootFile))
	}
}

// The script of farms that depend on nothing of the machine is written once, and has two names. The script for the boot
// stays when the next load is on trial, and when it differs.
func TestBootOfTheSameScript(t *testing.T) {
	s := NewStore(t.TempDir())
	commit := func(script, boot string, unconfirmed bool) {
		t.Helper()
		load := Load{Last: LastLoad{Script: []byte(script), Digest: script}, Boot: []byte(boot),
			Sources: &source.Files{}, Unconfirmed: unconfirmed}
		files, err := s.Prepare(load)
		if err == nil {
			err = s.Commit(files)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		script, boot string
		unconfirmed  bool
		wantBoot     string
		same         bool
	}{
		{"one", "one", false, "one", true},
		{"two", "two", true, "one", false},
		{"three", "boot", false, "boot", false},
		{"four", "four", false, "four", true},
	} {
		commit(c.script, c.boot, c.unconfirmed)
		script, _ := os.ReadFile(filepath.Join(s.Dir, loadedFile))
		boot, _ := os.ReadFile(filepath.Join(s.Dir, bootFile))
		a, _ := os.Stat(filepath.Join(s.Dir, loadedFile))
		b, _ := os.Stat(filepath.Join(s.Dir, bootFile))
		if string(script) != c.script || string(boot) != c.wantBoot || os.SameFile(a, b) != c.same {
			t.Errorf("%v: %q and %q, the same file: %t", c, script, boot, os.SameFile(a, b))
		}
	}
}

// What a killed farmc left of a load and of its history is removed; files of the history, and those that watch writes
// without the lock, stay.
func TestRemovePending(t *testing.T) {
	s := NewStore(filepath.Join(t.TempDir(), "[a]*")) // no pattern
	entry := HistoryEntry{Edits: "e1"}
	gone := []string{loadedFile, TrialFile, historyFile, entry.Archive()}
	for _, name := range append(gone, HostsFile) {
		path := filepath.Join(s.Dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, ending := range []string{"", pending} {
			if err := os.WriteFile(path+ending, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.RemovePending()
	for _, name := range append(gone, HostsFile) {
		if _, err := os.Stat(filepath.Join(s.Dir, name)); err != nil {
			t.Errorf("a file of the store is gone: %v", err)
		}
		_, err := os.Stat(filepath.Join(s.Dir, name+pending))
		if left, stays := err == nil, name == HostsFile; left != stays {
			t.Errorf("the pending file of %s is there: %t, want %t", name, left, stays)
		}
	}
}
