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

// awaitSignal waits for a signal.
func awaitSignal(t *testing.T, signal <-chan struct{}) {
	t.Helper()
	select {
	case <-signal:
	case <-time.After(time.Minute):
		t.Fatal("no signal\n", goroutines())
	}
}

// startWatch watches until the test ends, with inotify.
func startWatch(t *testing.T, dirs ...string) <-chan struct{} {
	signal := Watch(t.Context(), dirs, func() {}, func(err error) { t.Error(err) })
	t.Cleanup(func() { awaitEnd(t, signal) })
	return signal
}

// awaitEnd waits until Watch has closed its channel and its goroutines have ended. The context is done before.
func awaitEnd(t *testing.T, signal <-chan struct{}) {
	t.Helper()
	for range signal {
	}
	// The last goroutine closes the channel before it ends.
	for began := time.Now(); time.Since(began) < time.Minute; runtime.Gosched() {
		if goroutines() == "" {
			return
		}
	}
	t.Error("left behind:\n" + goroutines())
}

func TestWatch(t *testing.T) {
	tr := newTree(t, "farms.d/")
	signal := startWatch(t, tr.at("farms.d"), tr.at("run/farms.d"))
	tr.make("farms.d/web.toml")
	awaitSignal(t, signal)
	tr.make("run/farms.d/mail.toml.d/health.toml")
	awaitSignal(t, signal)
}

func TestWatchOfRelativePath(t *testing.T) {
	tr := newTree(t, "farms.d/")
	t.Chdir(tr.root)
	signal := startWatch(t, "farms.d")
	t.Chdir("/")
	tr.make("farms.d/web.toml")
	awaitSignal(t, signal)
}

func TestEnd(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	signal := Watch(ctx, []string{t.TempDir()}, func() {}, nil)
	if goroutines() == "" {
		t.Error("goroutines of Watch are not recognised")
	}
	stop()
	awaitEnd(t, signal)
}

// Watch ends though there is no receiver and changes go on.
func TestEndWithoutReceiver(t *testing.T) {
	root := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	signal := Watch(ctx, []string{root}, func() {}, nil)
	for i := range 1000 {
		if err := os.Mkdir(fmt.Sprintf("%s/%d.toml.d", root, i), 0o700); err != nil {
			t.Fatal(err)
		}
		if i == 500 {
			stop()
		}
	}
	awaitEnd(t, signal)
}

var running = regexp.MustCompile(`watch\.(Watch|settle|newInotifyWatcher|\(\*)|fsnotify`)

// goroutines are the stacks of the goroutines that Watch has started.
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

// inLimitedNamespace runs the test again in a user namespace with a limit for inotify. It tells whether this is that
// second run.
func inLimitedNamespace(t *testing.T, limit, value string) bool {
	t.Helper()
	const variable = "FARMC_TEST_LIMITED"
	var about unix.Statfs_t
	if err := unix.Statfs("/proc/sys/user", &about); err == nil && about.Flags&unix.ST_RDONLY != 0 {
		t.Skip("it can't be limited in this container")
	}
	if os.Getenv(variable) != "" {
		if err := os.WriteFile("/proc/sys/user/"+limit, []byte(value), 0); err != nil {
			t.Fatal(err)
		}
		return true
	}
	cmd := exec.Command("/proc/self/exe", "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), variable+"=1")
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
	if !inLimitedNamespace(t, "max_inotify_instances", "0") {
		return
	}
	root := t.TempDir()
	warned := make(chan error, 2)
	ctx, stop := context.WithCancel(t.Context())
	signal := Watch(ctx, []string{root}, func() {}, func(err error) { warned <- err })
	if err := os.WriteFile(root+"/web.toml", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	awaitSignal(t, signal)
	stop()
	awaitEnd(t, signal)
	if len(warned) != 1 {
		t.Error("warned", len(warned), "times")
	}
	t.Log(<-warned)
}

func TestTooManyWatches(t *testing.T) {
	if !inLimitedNamespace(t, "max_inotify_watches", "20") {
		return
	}
	root := t.TempDir()
	warned := make(chan error, 2)
	signal := Watch(t.Context(), []string{root}, func() {}, func(err error) { warned <- err })
	for i := range 20 {
		if err := os.Mkdir(fmt.Sprintf("%s/%d.toml.d", root, i), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	awaitSignal(t, signal)
	t.Log(<-warned)
	if err := os.WriteFile(root+"/19.toml.d/health.toml", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	awaitSignal(t, signal)
}
