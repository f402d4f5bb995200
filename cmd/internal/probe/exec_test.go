package probe

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"farmc/compiler/farm"
)

// programs is a directory with a program.
func programs(t *testing.T, name, script string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	syscall.ForkLock.RLock() // a child of another test would have the file open, and the kernel runs no such program
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func runs(name string) func(*farm.Health) { return func(h *farm.Health) { h.Program = name } }

var somewhere = netip.MustParseAddr("192.0.2.1")

func TestReasonsOfPrograms(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		script string
		want   Result
	}{
		{"exit 0", Result{Healthy: true, Percent: 100, Reason: "exit status 0"}},
		{"echo 12 mails wait; exit 0", Result{Healthy: true, Percent: 100, Reason: "12 mails wait"}},
		{"exit 1", Result{Reason: "exit status 1"}},
		{"echo; echo '  no route  '; echo more; exit 1", Result{Reason: "no route"}},
		{"echo to stderr >&2; exit 1", Result{Reason: "to stderr"}},
		{"printf 'a\\033[31m\\rb'; exit 1", Result{Reason: "a?[31m?b"}},
		{"exit 2", Result{Healthy: true, Reason: "exit status 2"}},
		{"exit 52", Result{Healthy: true, Percent: 50, Reason: "exit status 52"}},
		{"echo busy; exit 102", Result{Healthy: true, Percent: 100, Reason: "busy"}},
		{"echo all well; exit 103", Result{Reason: "exit status 103, expected 0 to 102"}},
		{"no-such-command", Result{Reason: "exit status 127, expected 0 to 102"}},
		{"kill -9 $$", Result{Reason: "killed by signal 9"}},
		{"cat; [ $# = 0 ] && [ \"$(pwd)\" = / ]", Result{Healthy: true, Percent: 100, Reason: "exit status 0"}},
		{"yes no end | head -c 1000000; exit 1", Result{Reason: "no end"}},
		{"yes | tr -d '\\n' | head -c 1000000; exit 1", Result{Reason: strings.Repeat("y", 197) + "..."}},
	} {
		dir := programs(t, "check", tt.script)
		got := run(t.Context(), target(somewhere, 25, a(farm.HealthExec, runs("check"))), dir)
		got.Took = 0
		if got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.script, got, tt.want)
		}
	}
}

// A program finds the backend in its environment, and nothing of this process.
func TestEnvironmentOfPrograms(t *testing.T) {
	t.Setenv("FARMC_SECRET", "x")
	dir := programs(t, "check", "env | grep -v '^PWD=' | LC_ALL=C sort | tr '\\n' ' '")
	check := a(farm.HealthExec, runs("check"), timeout(5500*time.Millisecond))
	check.Source = farm.Addresses{netip.MustParseAddr("10.2.0.1"), netip.MustParseAddr("fd00:2::1")}
	for _, tt := range []struct {
		address string
		port    uint16
		want    string
	}{
		{"192.0.2.1", 25, "FARMC_ADDRESS=192.0.2.1 FARMC_BACKEND=b1 FARMC_FAMILY=4 FARMC_FARM=web FARMC_PORT=25 " +
			"FARMC_SOURCE=10.2.0.1 FARMC_TIMEOUT=5.5 "},
		{"2001:db8::1", 0, "FARMC_ADDRESS=2001:db8::1 FARMC_BACKEND=b1 FARMC_FAMILY=6 FARMC_FARM=web " +
			"FARMC_SOURCE=fd00:2::1 FARMC_TIMEOUT=5.5 "},
	} {
		got := run(t.Context(), target(netip.MustParseAddr(tt.address), tt.port, check), dir)
		want := tt.want + "LC_ALL=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
		if got.Reason != printable(want, LongestReason) {
			t.Errorf("the environment is\n%s\nwant\n%s", got.Reason, want)
		}
	}
}

// A program that takes too long is killed, and so are its children.
func TestProgramTimeout(t *testing.T) {
	t.Parallel()
	pids := filepath.Join(t.TempDir(), "pids")
	dir := programs(t, "check", "echo $$ > "+pids+"; sleep 1000 & echo $! >> "+pids+"; wait")
	started := make(chan struct{})
	go func() {
		defer close(started)
		comesTrue(func() bool { return len(alive(pids)) == 2 })
	}()
	got := run(t.Context(), target(somewhere, 25, a(farm.HealthExec, runs("check"), timeout(time.Second))), dir)
	want(t, "endless program", got, false, "program did not end in 1s")
	<-started
	if !comesTrue(func() bool { return len(alive(pids)) == 0 }) {
		t.Errorf("processes are left: %v", alive(pids))
	}
}

// A child that a program leaves behind is killed, and does not delay the result.
func TestLeftChild(t *testing.T) {
	t.Parallel()
	pids := filepath.Join(t.TempDir(), "pids")
	dir := programs(t, "check", "sleep 1000 & echo $! > "+pids+"; echo done")
	got := run(t.Context(), target(somewhere, 25, a(farm.HealthExec, runs("check"), timeout(500*time.Second))), dir)
	want(t, "program with a child", got, true, "done")
	if !comesTrue(func() bool { return len(alive(pids)) == 0 }) {
		t.Errorf("processes are left: %v", alive(pids))
	}
}

// alive are the processes in a file that live.
func alive(pids string) (living []int) {
	text, _ := os.ReadFile(pids)
	for _, word := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(word)
		state, _ := os.ReadFile("/proc/" + word + "/stat")
		if err == nil && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) && !strings.Contains(string(state), ") Z ") {
			living = append(living, pid)
		}
	}
	return living
}

func comesTrue(holds func() bool) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if holds() {
			return true
		}
	}
	return false
}

// A check that its context ends kills the program.
func TestEndedProgram(t *testing.T) {
	t.Parallel()
	pids := filepath.Join(t.TempDir(), "pids")
	dir := programs(t, "check", "echo $$ > "+pids+"; sleep 1000")
	ctx, end := context.WithCancel(t.Context())
	go func() {
		comesTrue(func() bool { return len(alive(pids)) == 1 })
		end()
	}()
	got := run(ctx, target(somewhere, 25, a(farm.HealthExec, runs("check"), timeout(500*time.Second))), dir)
	if !got.Unknown || got.Reason != "check ended before its result" || len(alive(pids)) > 0 {
		t.Errorf("%+v, and these processes are left: %v", got, alive(pids))
	}
}

// Only root may be able to change a program, and a farm names no file elsewhere.
func TestUnsafePrograms(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	tests := []struct {
		name    string
		change  func(dir, path string) error
		program string
		reason  string
	}{
		{"none", func(_, path string) error { return os.Remove(path) }, "check", "no such file or directory"},
		{"no directory", func(dir, _ string) error { return os.RemoveAll(dir) }, "check", "no such file or directory"},
		{"writable", func(_, path string) error { return os.Chmod(path, 0o757) }, "check",
			"file can be written by other users than root"},
		{"writable by a group", func(_, path string) error { return os.Chmod(path, 0o775) }, "check",
			"file can be written by other users than root"},
		{"of another user", func(_, path string) error { return os.Chown(path, 1, 0) }, "check",
			"file does not belong to root"},
		{"directory writable", func(dir, _ string) error { return os.Chmod(dir, 0o777) }, "check",
			"directory of programs can be written by other users than root"},
		{"directory of another user", func(dir, _ string) error { return os.Chown(dir, 1, 0) }, "check",
			"directory of programs does not belong to root"},
		{"directory", func(_, path string) error {
			return errors.Join(os.Remove(path), os.Mkdir(path, 0o755))
		}, "check", "not a regular file"},
		{"pipe", func(_, path string) error {
			return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o755))
		}, "check", "not a regular file"},
		{"symlink outside", func(_, path string) error {
			return errors.Join(os.Remove(path), os.Symlink("/bin/true", path))
		}, "check", "path escapes from parent"},
		{"not executable", func(_, path string) error { return os.Chmod(path, 0o644) }, "check", "permission denied"},
		{"path", nothing, "../check", "not the name of a file"},
		{"absolute path", nothing, "/bin/true", "not the name of a file"},
		{"directory itself", nothing, ".", "not the name of a file"},
		{"no name", nothing, "", "not the name of a file"},
	}
	for _, tt := range tests {
		ran := filepath.Join(t.TempDir(), "ran")
		dir := programs(t, "check", "touch "+ran)
		if err := tt.change(dir, filepath.Join(dir, "check")); err != nil {
			t.Fatal(err)
		}
		got := run(t.Context(), target(somewhere, 25, a(farm.HealthExec, runs(tt.program))), dir)
		if want := "program " + tt.program + ": " + tt.reason; !got.Unknown || got.Reason != want {
			t.Errorf("%s: %+v, want %q", tt.name, got, want)
		}
		if _, err := os.Stat(ran); err == nil {
			t.Errorf("%s: the program ran", tt.name)
		}
	}
}

func nothing(string, string) error { return nil }

// A symlink to another program of the directory is as good as the program.
func TestLinkedProgram(t *testing.T) {
	t.Parallel()
	dir := programs(t, "check", "basename $0")
	if err := os.Symlink("check", filepath.Join(dir, "check-web")); err != nil {
		t.Fatal(err)
	}
	got := run(t.Context(), target(somewhere, 25, a(farm.HealthExec, runs("check-web"))), dir)
	want(t, "symlink", got, true, "check-web")
}
