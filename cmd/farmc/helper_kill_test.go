package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A moment is the time of a kill: after a duration, or at an event in the state directory, counted from 1. With a
// hindrance nothing is killed.
type moment struct {
	clock     time.Duration
	event     int
	hindrance string
}

func (m moment) String() string {
	if m.hindrance != "" {
		return m.hindrance
	}
	if m.event > 0 {
		return fmt.Sprintf("killed at event %d", m.event)
	}
	return fmt.Sprintf("killed after %v", m.clock)
}

// killings applies two sets of farms in turn.
type killings struct {
	*testing.T
	dir     string
	scripts [2][]byte // of the two sets
	rules   [2][]byte // of the two sets, as listed by nft
	target  int       // index of the set that is applied
	usual   time.Duration
	events  []string // file names of the events of an apply in the state directory
}

func newKillings(t *testing.T) *killings { return newKillingsIn(t, t.TempDir()) }

func newKillingsIn(t *testing.T, dir string) *killings {
	k := &killings{T: t, dir: dir}
	for set := range k.scripts {
		if err := os.Mkdir(k.farms(set), 0o755); err != nil {
			t.Fatal(err)
		}
		for n := range 50 {
			farm := fmt.Sprintf("listen = '192.0.2.%d:80'\n[backends]\n"+
				"b1.address = '10.0.%d.1'\nb2.address = '10.0.%d.2'\n", n+1, n, n+100*set)
			if set == 1 && n%10 == 0 { // chains and maps come and go
				farm = "scheduler = 'round-robin'\n" + farm + fmt.Sprintf("b3.address = '10.0.%d.3'\n", n)
			}
			path := filepath.Join(k.farms(set), fmt.Sprintf("shop%d.toml", n))
			if err := os.WriteFile(path, []byte(farm), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 { // the first load takes longer
		k.target = 1 - k.target
		began := time.Now()
		if k.kill(moment{clock: time.Hour}) {
			t.Fatal("apply was killed by another process")
		}
		k.usual = time.Since(began)
		k.scripts[k.target] = k.run("farmc", "compile", "--dir", k.farms(k.target))
		k.rules[k.target] = k.listing("nft", "list", "ruleset")
	}
	return k
}

func (k *killings) farms(set int) string { return filepath.Join(k.dir, fmt.Sprint("farms", set)) }
func (k *killings) state() string        { return filepath.Join(k.dir, "state") }

func (k *killings) run(name string, args ...string) []byte {
	k.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		k.Fatalf("%v: %v\n%s%s", cmd, err, out, &stderr)
	}
	return out
}

// listing returns the sorted lines of a command's output: nft lists new objects last.
func (k *killings) listing(name string, args ...string) []byte {
	k.Helper()
	lines := strings.SplitAfter(string(k.run(name, args...)), "\n")
	slices.Sort(lines)
	return []byte(strings.Join(lines, ""))
}

// kill starts an apply of the target and kills it at the moment. It returns false if the apply ended before.
func (k *killings) kill(when moment) bool {
	if err := os.MkdirAll(k.state(), 0o755); err != nil {
		k.Fatal(err)
	}
	killed, err := k.killAt(when, func(ctx context.Context, _ func()) *exec.Cmd {
		return exec.CommandContext(ctx, "farmc", "apply", "--dir", k.farms(k.target), "--state-dir", k.state())
	})
	if err != nil {
		k.Fatalf("%v: %v", when, err)
	}
	return killed
}

// killAt starts a command and kills it at the moment, or as soon as now is called. It returns false and the command's
// error if the command ended before.
func (k *killings) killAt(when moment, command func(ctx context.Context, now func()) *exec.Cmd) (bool, error) {
	ctx, now := context.WithCancel(k.Context())
	defer now()
	seen := k.listen(when.event, now)
	cmd := command(ctx, now)
	if err := cmd.Start(); err != nil {
		k.Fatal(err)
	}
	if when.event == 0 {
		defer time.AfterFunc(when.clock, now).Stop()
	}
	err := cmd.Wait()
	if events := seen(); when.clock == time.Hour {
		k.events = events
	}
	if cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return true, nil
	}
	if cmd.ProcessState.ExitCode() == 0 {
		return false, nil // err can be the late cancellation
	}
	return false, err
}

// listen calls now at the nth event in the state directory. The returned function stops it and returns the file names
// of all events.
func (k *killings) listen(n int, now func()) (end func() []string) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		k.Fatal(err)
	}
	inotify := os.NewFile(uintptr(fd), "inotify")
	const mask = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_CLOSE_WRITE | unix.IN_DELETE
	if _, err := unix.InotifyAddWatch(fd, k.state(), mask); err != nil {
		k.Fatal(err)
	}
	events := make(chan []string)
	go func() {
		var names []string
		for buffer := make([]byte, 4096); ; {
			size, err := inotify.Read(buffer)
			if err != nil {
				events <- names
				return
			}
			for event := buffer[:size]; len(event) > 0; {
				length := unix.SizeofInotifyEvent + int(event[12]) // of the name: below 256
				names = append(names, unix.ByteSliceToString(event[unix.SizeofInotifyEvent:length]))
				event = event[length:]
				if len(names) == n {
					now()
				}
			}
		}
	}()
	return func() []string {
		inotify.Close()
		return <-events
	}
}

// wholesome checks that kernel and state directory have one of the two sets, complete.
func (k *killings) wholesome(when moment) {
	k.Helper()
	k.completeKernel(when)
	k.completeFile(when, "loaded.nft")
	k.completeFile(when, "previous.nft")
}

// completeKernel checks that the kernel has the rules of one of the two sets. An nft that outlives its farmc can still
// load. A listing could see half of its transaction, so it waits for the lock.
func (k *killings) completeKernel(when moment) {
	k.Helper()
	rules := k.listing("flock", filepath.Join(k.state(), "lock"), "nft", "list", "ruleset")
	if !slices.ContainsFunc(k.rules[:], equals(rules)) {
		k.Fatalf("%v: the kernel holds\n%s", when, rules)
	}
}

// completeFile checks that a file of the state directory has the script of one of the two sets.
func (k *killings) completeFile(when moment, name string) {
	k.Helper()
	text, err := os.ReadFile(filepath.Join(k.state(), name))
	if err != nil || !slices.ContainsFunc(k.scripts[:], equals(text)) {
		k.Fatalf("%v: %s is %v\n%s", when, name, err, text)
	}
}

func equals(a []byte) func([]byte) bool { return func(b []byte) bool { return bytes.Equal(a, b) } }

// mend applies the target, and checks that no trace of the kill is left.
func (k *killings) mend(when moment) {
	k.Helper()
	k.run("farmc", "apply", "--dir", k.farms(k.target), "--state-dir", k.state())
	if rules := k.listing("nft", "list", "ruleset"); !bytes.Equal(rules, k.rules[k.target]) {
		k.Fatalf("%v: after the next apply the kernel holds\n%s", when, rules)
	}
	if text, err := os.ReadFile(filepath.Join(k.state(), "loaded.nft")); !bytes.Equal(text, k.scripts[k.target]) {
		k.Fatalf("%v: after the next apply loaded.nft is %v\n%s", when, err, text)
	}
	if words := k.run("farmc", "diff", "--dir", k.farms(k.target), "--state-dir", k.state()); len(words) > 0 {
		k.Fatalf("%v: after the next apply diff says\n%s", when, words)
	}
	if left := k.run("ls", "-A", k.state()); strings.Contains(string(left), ".tmp") {
		k.Fatalf("%v: the next apply leaves\n%s", when, left)
	}
}
