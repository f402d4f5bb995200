package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"farmc/cmd/internal/nft"
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

func median(of []time.Duration) time.Duration {
	of = slices.Sorted(slices.Values(of))
	return of[len(of)/2].Round(100 * time.Microsecond)
}
