package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"farmc/cmd/internal/nft"
	"farmc/compiler"
	"farmc/compiler/farm"
)

// The test logs the time from the close of a file to the commit in the kernel, with ten farms: less than 200 ms on an
// idle machine, half of it the wait for quiet. A busy machine takes longer, so there is no limit.
func TestFromCloseToCommit(t *testing.T) {
	skipShort(t)
	needMachine(t)
	defer sweep()
	e := newEdits(t, 1)
	for n := 1; n <= 10; n++ {
		e.write(fmt.Sprintf("farm%d.toml", n), e.farm(n))
	}
	os.Remove(e.in("web.toml"))
	commits, err := nft.Nft{}.Monitor(t.Context())
	e.must(err)
	w := e.watch()
	defer w.stop()
	<-commits
	e.agreed(w, "the start")
	var took []time.Duration
	for range 15 {
		text := e.farm(1)
		e.write("farm1.toml", text)
		closed := time.Now()
		<-commits
		took = append(took, time.Since(closed))
		e.agreed(w, "an edit")
	}
	said, err := os.ReadFile(w.said)
	e.must(err)
	var loads []time.Duration // from the end of the wait for quiet to the log line
	for _, m := range regexp.MustCompile(`loaded in ([0-9.]+m?s)`).FindAllSubmatch(said, -1)[1:] {
		d, err := time.ParseDuration(string(m[1]))
		e.must(err)
		loads = append(loads, d)
	}
	var alone []time.Duration
	script := filepath.Join(e.root, "state", "loaded.nft")
	for range 5 {
		began := time.Now()
		e.run("nft", "-f", script)
		alone = append(alone, time.Since(began))
	}
	t.Logf("from close to commit %v (from %v to %v), of which 100ms wait for quiet",
		median(took), slices.Min(took), slices.Max(took))
	t.Logf("apply takes %v, nft alone for the complete script %v", median(loads), median(alone))
}

// The outage of a backend is loaded beside drop-ins that are stale, faulty or empty. The test logs the time from the
// drop-in of the outage to the commit in the kernel, half of it the wait for quiet. A busy machine takes longer.
func TestOutageBesideBadDropIns(t *testing.T) {
	skipShort(t)
	needMachine(t)
	defer sweep()
	e := newEdits(t, 1)
	e.write("web.toml", e.farm(1)+"[backends.b2]\naddress = '10.9.9.9'\n")
	dropIn := func(name, text string) {
		e.must(os.MkdirAll(e.in("web.toml.d"), 0o755))
		e.must(os.WriteFile(e.in(".new"), []byte(text), 0o644))
		e.must(os.Rename(e.in(".new"), e.in("web.toml.d/"+name)))
	}
	w := e.watch()
	defer w.stop()
	e.agreed(w, "the start")
	dropIn("10-stale.toml", "[backends.b9]\nstate = 'down'\n")
	dropIn("20-garbage.toml", "[backends.b2\n")
	dropIn("30-typo.toml", "backends.b2.wieght = 5\n")
	dropIn("40-empty.toml", "")
	text, err := os.ReadFile(e.in("web.toml"))
	e.must(err)
	var took []time.Duration
	for n := range 10 {
		outage := fmt.Sprintf("backends.b2.state = '%s'\n", []string{"down", "up"}[n%2])
		wanted, _ := compiler.Compile([]farm.Dir{{Path: "clean", FS: fstest.MapFS{
			"web.toml":                  {Data: text},
			"web.toml.d/50-health.toml": {Data: []byte(outage)},
		}}})
		dropIn("50-health.toml", outage)
		took = append(took, e.waitLoaded(w, wanted.Digest))
	}
	t.Logf("from the drop-in to the commit %v (from %v to %v), of which 100ms wait for quiet",
		median(took), slices.Min(took), slices.Max(took))
}

// waitLoaded waits until the kernel has the script with this digest, and returns how long that took.
func (e *edits) waitLoaded(w *watcherProcess, digest string) time.Duration {
	e.Helper()
	began := time.Now()
	for time.Since(began) < time.Minute {
		if held, err := (nft.Nft{}).Loaded(e.Context()); err == nil && held == digest {
			return time.Since(began)
		}
		time.Sleep(time.Millisecond)
	}
	e.Fatalf("after a minute the outage is not loaded\n%s", w.last(20))
	return 0
}

func median(of []time.Duration) time.Duration {
	of = slices.Sorted(slices.Values(of))
	return of[len(of)/2].Round(100 * time.Microsecond)
}
