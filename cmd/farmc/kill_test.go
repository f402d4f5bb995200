package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"farmc/cmd/internal/nft"

	"golang.org/x/sys/unix"
)

// After a kill of apply the kernel has the complete old or new rules, loaded.nft is the complete old or new script, and
// the next apply completes the load. Half of the kills come after a time, the others at an event in the state
// directory, because the critical steps take microseconds. STRESS=1 makes ten times as many (make stress).
func TestKilledApply(t *testing.T) {
	skipShort(t)
	t.Parallel()
	needMachine(t)
	defer sweep()
	k := newKillings(t)
	random := rand.New(rand.NewPCG(1, 2))
	killed, kills := 0, 50
	if os.Getenv("STRESS") != "" {
		kills = 500
	}
	for i := range kills {
		after := moment{clock: time.Duration(random.Float64() * float64(k.usual))}
		if i%2 == 1 {
			after = moment{event: 1 + random.IntN(len(k.events))}
		}
		k.target = 1 - k.target
		if k.kill(after) {
			killed++
		}
		k.wholesome(after)
		if random.IntN(3) == 0 { // the administrator goes back to the other farms
			k.target = 1 - k.target
		}
		k.mend(after)
	}
	t.Logf("killed %d of %d; otherwise apply takes %v and makes the events %q", killed, kills, k.usual, k.events)
	if killed < kills/5 {
		t.Errorf("of %d only %d were killed", kills, killed)
	}
}

// A moment is the time of a kill: after a duration, or at an event in the state directory, counted from 1.
type moment struct {
	clock time.Duration
	event int
}

func (m moment) String() string {
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

func newKillings(t *testing.T) *killings {
	k := &killings{T: t, dir: t.TempDir()}
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
	ctx, now := context.WithCancel(context.Background())
	defer now()
	seen := k.listen(when.event, now)
	cmd := exec.CommandContext(ctx, "farmc", "apply", "--dir", k.farms(k.target), "--state-dir", k.state())
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
		return true
	}
	if cmd.ProcessState.ExitCode() != 0 {
		k.Fatalf("%v: %v", when, err)
	}
	return false
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
	// An nft that outlives its farmc can still load. A listing could see half of its transaction, so it waits for the
	// lock.
	rules := k.listing("flock", filepath.Join(k.state(), "lock"), "nft", "list", "ruleset")
	if !slices.ContainsFunc(k.rules[:], equals(rules)) {
		k.Fatalf("%v: the kernel holds\n%s", when, rules)
	}
	for _, name := range []string{"loaded.nft", "previous.nft"} {
		text, err := os.ReadFile(filepath.Join(k.state(), name))
		if err != nil || !slices.ContainsFunc(k.scripts[:], equals(text)) {
			k.Fatalf("%v: %s is %v\n%s", when, name, err, text)
		}
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

// After a kill of watch while farms change, the same holds as for apply, and the next watch completes the load.
// STRESS=1 kills it 300 times (make stress).
func TestKilledWatch(t *testing.T) {
	skipShort(t)
	t.Parallel()
	needMachine(t)
	defer sweep()
	k := newKillings(t)
	random := rand.New(rand.NewPCG(3, 4))
	kills, busy := rounds(20, 300), 0
	for range kills {
		when := moment{clock: time.Duration(random.Float64() * float64(300*time.Millisecond+4*k.usual))}
		w := k.watch()
		changing, calm := context.WithCancel(t.Context())
		calmed := make(chan struct{})
		go func() {
			defer close(calmed)
			for changing.Err() == nil {
				k.turn(1 - k.target)
				select {
				case <-changing.Done():
				case <-time.After(time.Duration(random.IntN(300)) * time.Millisecond):
				}
			}
		}()
		<-time.After(when.clock)
		w.Process.Kill()
		w.Wait()
		calm()
		<-calmed
		if left, _ := filepath.Glob(filepath.Join(k.state(), "*.tmp")); len(left) > 0 {
			busy++
		}
		k.wholesome(when)
		w = k.watch()
		k.settled(when)
		w.Process.Kill()
		w.Wait()
		k.mend(when)
	}
	t.Logf("killed %d times, %d times in the middle of a load", kills, busy)
}

// turn points the watched directory at a set, as a ConfigMap is updated.
func (k *killings) turn(set int) {
	k.target = set
	link := filepath.Join(k.dir, "watched")
	if err := errors.Join(os.Symlink(k.farms(set), link+".new"), os.Rename(link+".new", link)); err != nil {
		k.Error(err)
	}
}

func (k *killings) watch() *exec.Cmd {
	k.turn(k.target)
	w := exec.Command("farmc", "watch", "--quiet", "--dir", filepath.Join(k.dir, "watched"), "--state-dir", k.state())
	if err := w.Start(); err != nil {
		k.Fatal(err)
	}
	return w
}

// settled waits until the kernel has the rules of the target.
func (k *killings) settled(when moment) {
	k.Helper()
	for patience := time.Now().Add(time.Minute); ; {
		digest, err := (nft.Nft{}).Loaded(k.Context())
		if err == nil && bytes.Contains(k.scripts[k.target], []byte(digest)) {
			return
		}
		if time.Now().After(patience) {
			k.Fatalf("%v: after the next start the kernel holds %q, %v", when, digest, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
