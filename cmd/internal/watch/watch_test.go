package watch

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// told waits for a signal.
func told(t *testing.T, signal <-chan struct{}) {
	t.Helper()
	select {
	case <-signal:
	case <-time.After(time.Minute):
		t.Fatal("no signal\n", goroutines())
	}
}

// watching watches until the test ends, with inotify.
func watching(t *testing.T, dirs ...string) <-chan struct{} {
	signal := Watch(t.Context(), dirs, func(err error) { t.Error(err) })
	t.Cleanup(func() { ends(t, signal) })
	return signal
}

// ends waits for the end of Watch, whose context is done, and of all that it began.
func ends(t *testing.T, signal <-chan struct{}) {
	t.Helper()
	for range signal {
	}
	for began := time.Now(); time.Since(began) < time.Minute; runtime.Gosched() { // the last one closes the channel with its last breath
		if goroutines() == "" {
			return
		}
	}
	t.Error("left behind:\n" + goroutines())
}

func TestWatch(t *testing.T) {
	sc := given(t, "farms.d/")
	signal := watching(t, sc.at("farms.d"), sc.at("run/farms.d"))
	sc.make("farms.d/web.toml")
	told(t, signal)
	sc.make("run/farms.d/mail.toml.d/health.toml")
	told(t, signal)
}

func TestWatchOfRelativePath(t *testing.T) {
	sc := given(t, "farms.d/")
	t.Chdir(sc.root)
	signal := watching(t, "farms.d")
	t.Chdir("/")
	sc.make("farms.d/web.toml")
	told(t, signal)
}

func TestEnd(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	signal := Watch(ctx, []string{t.TempDir()}, nil)
	if goroutines() == "" {
		t.Error("wouldn't see what is left behind")
	}
	stop()
	ends(t, signal)
}

// The end comes even while nobody receives, and changes go on.
func TestEndWhileBusy(t *testing.T) {
	root := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	signal := Watch(ctx, []string{root}, nil)
	for i := range 1000 {
		if err := os.Mkdir(fmt.Sprintf("%s/%d.toml.d", root, i), 0o700); err != nil {
			t.Fatal(err)
		}
		if i == 500 {
			stop()
		}
	}
	ends(t, signal)
}

var running = regexp.MustCompile(`watch\.(Watch|settle|post|\(\*)|fsnotify`)

// goroutines are the stacks of those that Watch began.
func goroutines() string {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	var ours []string
	for _, stack := range strings.Split(string(stacks), "\n\n") {
		if running.MatchString(stack) {
			ours = append(ours, stack)
		}
	}
	return strings.Join(ours, "\n\n")
}

// limited runs the test once more in a user namespace in which inotify is limited, and says whether it is that run.
func limited(t *testing.T, limit, value string) bool {
	t.Helper()
	const mark = "FARMC_TEST_LIMITED"
	var about unix.Statfs_t
	if err := unix.Statfs("/proc/sys/user", &about); err == nil && about.Flags&unix.ST_RDONLY != 0 {
		t.Skip("it can't be limited in this container")
	}
	if os.Getenv(mark) != "" {
		if err := os.WriteFile("/proc/sys/user/"+limit, []byte(value), 0); err != nil {
			t.Fatal(err)
		}
		return true
	}
	cmd := exec.Command("/proc/self/exe", "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), mark+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if cmd.Process == nil && os.Getenv("CI") == "" {
		t.Skip("no user namespace here:", err)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

func TestWithoutInotify(t *testing.T) {
	if !limited(t, "max_inotify_instances", "0") {
		return
	}
	root := t.TempDir()
	warned := make(chan error, 2)
	ctx, stop := context.WithCancel(t.Context())
	signal := Watch(ctx, []string{root}, func(err error) { warned <- err })
	if err := os.WriteFile(root+"/web.toml", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	told(t, signal)
	stop()
	ends(t, signal)
	if len(warned) != 1 {
		t.Error("warned", len(warned), "times")
	}
	t.Log(<-warned)
}

func TestTooManyWatches(t *testing.T) {
	if !limited(t, "max_inotify_watches", "20") {
		return
	}
	root := t.TempDir()
	warned := make(chan error, 2)
	signal := Watch(t.Context(), []string{root}, func(err error) { warned <- err })
	for i := range 20 {
		if err := os.Mkdir(fmt.Sprintf("%s/%d.toml.d", root, i), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	told(t, signal)
	t.Log(<-warned)
	if err := os.WriteFile(root+"/19.toml.d/health.toml", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	told(t, signal)
}
