package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// BenchmarkPushToCommit measures the time from the start of farmc-etcd push, which checks all farms, to the record of
// each farmc watch that the change of one farm among 10,000 is committed, or among as many as FARMS says. ms-after-push
// is the part after the end of push, which follows the transaction. All machines share the processors of this one.
func BenchmarkPushToCommit(b *testing.B) {
	farms := 10_000
	if n, err := strconv.Atoi(os.Getenv("FARMS")); err == nil {
		farms = n
	}
	for _, machines := range []int{1, 3} {
		b.Run(fmt.Sprint("machines=", machines), func(b *testing.B) { benchPush(b, farms, machines) })
	}
}

func benchPush(b *testing.B, farms, machines int) {
	l := newLoadBench(b, farms, machines)
	var afterPush time.Duration
	for i := 0; b.Loop(); i++ {
		before := time.Now()
		l.writeFarm(0, 20_001+i)
		l.push()
		pushed := time.Now()
		l.awaitLoads(before)
		afterPush += time.Since(pushed)
	}
	b.ReportMetric(float64(afterPush.Milliseconds())/float64(b.N), "ms-after-push/op")
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/op")
}

// A loadBench is etcd with farms, and machines with a mirror and farmc watch, which have loaded them.
type loadBench struct {
	*store
	farmc, dir string
	states     []string // a directory for each machine
}

func newLoadBench(b *testing.B, farms, machines int) *loadBench {
	b.Helper()
	work := b.TempDir()
	l := &loadBench{store: newStore(b), farmc: filepath.Join(work, "farmc"), dir: filepath.Join(work, "pushed")}
	if out, err := exec.Command("go", "build", "-C", "../farmc", "-o", l.farmc, ".").CombinedOutput(); err != nil {
		b.Fatalf("build farmc: %v\n%s", err, out)
	}
	if err := os.Mkdir(l.dir, 0o755); err != nil {
		b.Fatal(err)
	}
	for i := range farms {
		l.writeFarm(i, 20_000)
	}
	l.push()
	for i := range machines {
		l.addMachine(filepath.Join(work, fmt.Sprint("lb", i+1)))
	}
	l.awaitLoads(time.Time{})
	time.Sleep(5 * time.Second) // for the work of mirror and farmc watch after the load
	return l
}

// addMachine starts a mirror, and farmc watch in a network namespace of its own, until the end of the benchmark.
func (l *loadBench) addMachine(dir string) {
	state, mirrored := filepath.Join(dir, "state"), filepath.Join(dir, "farms")
	if err := os.MkdirAll(state, 0o700); err != nil {
		l.t.Fatal(err)
	}
	l.states = append(l.states, state)
	l.mirror(mirrored, "--host", filepath.Base(dir), "--farmc", l.farmc, "--farmc-dir", mirrored)
	watch := exec.Command(l.farmc, "watch", "--dir", mirrored, "--state-dir", state)
	watch.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Unshareflags: syscall.CLONE_NEWNET}
	if err := watch.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		watch.Process.Kill()
		watch.Wait()
	})
}

// writeFarm writes the farm of a number, with a port of its backends.
func (l *loadBench) writeFarm(i, port int) {
	const backend = "[backends.b%[1]d]\naddress = \"10.0.0.%[1]d\"\nport = %[2]d\n"
	text := fmt.Sprintf("mode = \"dnat\"\nlisten = \"198.18.%d.%d:80\"\n", i/250, i%250+1) +
		fmt.Sprintf(backend, 1, port) + fmt.Sprintf(backend, 2, port)
	write(l.t, filepath.Join(l.dir, fmt.Sprintf("farm%d.toml", i)), text)
}

// push runs the command in a process of its own.
func (l *loadBench) push() {
	push := exec.Command(os.Args[0], "push", l.dir, "--farmc", l.farmc, "--endpoints", l.url())
	push.Env = append(os.Environ(), asProgram+"=1")
	if out, err := push.CombinedOutput(); err != nil {
		l.t.Fatalf("push: %v\n%s", err, out)
	}
}

// awaitLoads waits until each machine has loaded farms after a time.
func (l *loadBench) awaitLoads(after time.Time) {
	end := time.Now().Add(5 * time.Minute)
	for _, state := range l.states {
		for !loadedAfter(state, after) {
			if time.Now().After(end) {
				l.t.Fatal("farmc watch loads nothing")
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func loadedAfter(state string, after time.Time) bool {
	info, err := os.Stat(filepath.Join(state, "loaded.nft"))
	return err == nil && info.ModTime().After(after)
}
