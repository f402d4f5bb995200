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
// farmc watch that the change of one farm among 10,000 is committed, or among as many as FARMS says. ms-after-push is
// the part after the end of push, which follows the transaction.
func BenchmarkPushToCommit(b *testing.B) {
	farms := 10_000
	if n, err := strconv.Atoi(os.Getenv("FARMS")); err == nil {
		farms = n
	}
	l := newLoadBench(b, farms)
	var afterPush time.Duration
	for i := 0; b.Loop(); i++ {
		before := l.loaded()
		l.writeFarm(0, 20_001+i)
		l.push()
		pushed := time.Now()
		l.awaitLoad(before)
		afterPush += time.Since(pushed)
	}
	b.ReportMetric(float64(afterPush.Milliseconds())/float64(b.N), "ms-after-push/op")
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/op")
}

// A loadBench is etcd with farms, a mirror, and farmc watch, which has loaded them.
type loadBench struct {
	*store
	farmc, dir, state string
}

func newLoadBench(b *testing.B, farms int) *loadBench {
	b.Helper()
	work := b.TempDir()
	l := &loadBench{store: newStore(b), farmc: filepath.Join(work, "farmc"), dir: filepath.Join(work, "pushed"),
		state: filepath.Join(work, "state")}
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
	mirrored := filepath.Join(work, "farms")
	l.mirror(mirrored, "--host", "lb1", "--farmc", l.farmc, "--farmc-dir", mirrored)
	watch := exec.Command(l.farmc, "watch", "--dir", mirrored, "--state-dir", l.state)
	watch.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := watch.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		watch.Process.Kill()
		watch.Wait()
	})
	l.awaitLoad(time.Time{})
	time.Sleep(5 * time.Second) // for the work of mirror and farmc watch after the load
	return l
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

// loaded is the time of the last load.
func (l *loadBench) loaded() time.Time {
	info, err := os.Stat(filepath.Join(l.state, "loaded.nft"))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// awaitLoad waits for a load after the one of a time.
func (l *loadBench) awaitLoad(before time.Time) {
	for end := time.Now().Add(5 * time.Minute); !l.loaded().After(before); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			l.t.Fatal("farmc watch loads nothing")
		}
	}
}
