package convert

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farmc/compiler/farm"
)

var line = Place{File: "old.conf", Line: 7, Text: "\tvirtual_server 192.0.2.10\t80 {\x1b[31m"}

// web adds a farm that compiles.
func web(r *Result, listen string) *Farm {
	f := r.NewFarm(line, "web")
	f.Set(line, []string{listen}, "listen")
	f.NewBackend(Place{"old.conf", 9, "real_server 10.0.0.1 80"}, "10.0.0.1", "10.0.0.1")
	return f
}

func TestFarmsHaveTheLinesOfTheSourceInComments(t *testing.T) {
	r := &Result{}
	f := web(r, "192.0.2.10:80")
	f.Set(Place{"old.conf", 8, "lb_algo rr"}, "round-robin", "scheduler")
	want := "# written by farmc\n# from old.conf:7: virtual_server 192.0.2.10 80 {�[31m\n" +
		"listen = [\"192.0.2.10:80\"]\n# old.conf:8: lb_algo rr\n" +
		"scheduler = \"round-robin\"\n\n# old.conf:9: real_server 10.0.0.1 80\n" +
		"[backends.\"10.0.0.1\"]\naddress = \"10.0.0.1\"\n"
	files := r.Finish()
	if len(files) != 1 || files[0].Name != "web.toml" || string(files[0].Text) != want {
		t.Errorf("got %s", files)
	}
	if len(r.Losses) > 0 {
		t.Errorf("losses: %v", r.Losses)
	}
}

func TestFarmsWithFaultsAreIncompleteAndTheOthersCompile(t *testing.T) {
	r := &Result{}
	web(r, "192.0.2.10:80")
	web(r, "192.0.2.11:80").Set(line, "no-such-scheduler", "scheduler")
	files := r.Finish()
	if len(files) != 2 || files[0].Name != "web.toml" || files[1].Name != "web-2.toml.incomplete" {
		t.Errorf("got %s", files)
	}
	refusal := "old.conf:7: farmc refuses farm web-2"
	if len(r.Losses) != 1 || !r.Matters() || !strings.Contains(r.Losses[0].String(), refusal) {
		t.Errorf("losses: %v", r.Losses)
	}
}

func TestFarmsThatConflictAreIncomplete(t *testing.T) {
	r := &Result{}
	web(r, "192.0.2.10:80")
	web(r, "192.0.2.10:80")
	r.Finish()
	if !r.Matters() {
		t.Error("two farms listen on one port, and no loss says so")
	}
}

func TestNamesAreLegalAndUnique(t *testing.T) {
	var n names
	for _, wanted := range []string{"web", "WEB", "../etc", "", "--", "a b\x1b", strings.Repeat("x", 300),
		strings.Repeat("x", 300), "é", "192.0.2.1:80"} {
		name := n.pick(wanted, "farm")
		if !farm.IsName(name) {
			t.Errorf("%q became %q", wanted, name)
		}
	}
	if len(n.taken) != 10 {
		t.Errorf("names are not unique: %v", n.taken)
	}
}

func TestLossesAreOneLineThatNoTerminalObeys(t *testing.T) {
	got := Loss{Place: Place{File: "a\nb", Line: 3}, What: "\x1b[2J", Instead: "x"}.String()
	if got != "a�b:3: �[2J: x" {
		t.Errorf("got %q", got)
	}
}

func TestLossesOfALineStandOnce(t *testing.T) {
	r := &Result{}
	for range 2 {
		r.Lose(Place{File: "f", Line: 1}, "a", "")
		r.Lose(Place{File: "f", Line: 1}, "b", "")
	}
	if r.Finish(); len(r.Losses) != 2 {
		t.Errorf("losses are %v", r.Losses)
	}
}

func TestLossesAreBounded(t *testing.T) {
	r := &Result{}
	for range 3 * maxLosses {
		r.Note(line, "x", "")
	}
	if n := len(r.Losses); n != maxLosses+1 || !r.Matters() {
		t.Errorf("%d losses", n)
	}
}

func TestWriteOverwritesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "out")
	files := []File{{"a.toml", []byte("a")}, {"b.toml", []byte("b")}}
	if err := Write(dir, files); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "b.toml")); err != nil || string(text) != "b" {
		t.Errorf("got %s, %v", text, err)
	}
	if err := Write(dir, []File{{"a.toml", []byte("new")}}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a full directory: %v", err)
	}
	if text, _ := os.ReadFile(filepath.Join(dir, "a.toml")); string(text) != "a" {
		t.Errorf("a.toml has %s", text)
	}
	if left, _ := os.ReadDir(filepath.Dir(dir)); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestOpenReadsRegularFilesWithinBounds(t *testing.T) {
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(big, MaxInput+1); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{big, "/dev/zero", t.TempDir()} {
		if _, err := Open(path, nil); err == nil {
			t.Errorf("%s is read", path)
		}
	}
	if in, err := Open("-", strings.NewReader("x")); err != nil || string(in.Text) != "x" {
		t.Errorf("standard input: %s, %v", in.Text, err)
	}
}
