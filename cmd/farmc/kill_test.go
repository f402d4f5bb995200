package main

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"farmc/cmd/internal/nft"
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
	killed, kills := 0, rounds(50, 500)
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

func (k *killings) watch(options ...string) *exec.Cmd {
	k.turn(k.target)
	args := []string{"watch", "--quiet", "--dir", filepath.Join(k.dir, "watched"), "--state-dir", k.state()}
	w := exec.Command("farmc", append(args, options...)...)
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
