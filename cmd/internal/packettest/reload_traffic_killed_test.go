package packettest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestKilledUnderTraffic kills farmc watch at moments of the clock while farms change, and starts it again, with clients
// who open short connections all the time and others who hold long ones: none fails and none is cut, as the services that
// they use are served all along. STRESS=1 kills it 300 times (make stress).
func TestKilledUnderTraffic(t *testing.T) {
	plan, kills := rushPlan{clients: 12, holders: 8}, 8
	if os.Getenv("STRESS") != "" {
		plan, kills = rushPlan{clients: 40, holders: 20}, 300
	}
	k := &killed{rush: newRush(t, plan), program: farmc(t), root: t.TempDir(),
		state: rushFarms{web: []int{1, 1, 1}, shop: []int{1, 1, 1}, schedulers: []string{"random", "random"}}}
	k.turn()
	k.run("apply")
	k.open()
	for range kills {
		k.live()
	}
	k.run("apply")
	k.run("diff")
	k.leave()
	t.Logf("killed %d times, %d of them in the middle of a load, with %d changes: %d connections opened, %d failed; of %d that were held %d were cut",
		kills, k.loading, k.turns, k.opened.Load(), k.failed.Load(), plan.holders, k.cut.Load())
	if k.failed.Load() > 0 || k.cut.Load() > 0 {
		t.Errorf("the first failed as %v", k.first)
	}
	if n := k.opened.Load(); n < int64(kills) {
		t.Errorf("only %d connections were opened", n)
	}
}

// killed is a farmc watch that is killed again and again.
type killed struct {
	*rush
	program, root  string
	state          rushFarms
	turns, loading int
}

func (k *killed) args(verb string) []string {
	return []string{verb, "--quiet", "--dir", filepath.Join(k.root, "farms.d"), "--state-dir", filepath.Join(k.root, "state")}
}

// run runs farmc to its end on the balancer.
func (k *killed) run(verb string) {
	k.t.Helper()
	if out, err := k.Balancer.Run(k.ctx, "", k.program, k.args(verb)...); err != nil {
		k.t.Fatalf("farmc %s: %v\n%s", verb, err, out)
	}
}

// turn makes other farms lie there, all at once, as a ConfigMap is changed.
func (k *killed) turn() {
	k.t.Helper()
	k.turns++
	dir, link := filepath.Join(k.root, fmt.Sprint("farms", k.turns)), filepath.Join(k.root, "farms.d")
	must(k.t, os.Mkdir(dir, 0o755))
	for name, text := range k.state.farms() {
		must(k.t, write(filepath.Join(dir, name+".toml"), text))
	}
	must(k.t, errors.Join(os.Symlink(dir, link+".new"), os.Rename(link+".new", link)))
}

// live is a life of farmc watch: farms change, and then it is killed.
func (k *killed) live() {
	k.t.Helper()
	w := daemon(k.t, k.stage, k.program, k.args("watch")...)
	end := time.After(time.Duration(k.random.IntN(700)) * time.Millisecond)
	for alive := true; alive; {
		select {
		case <-end:
			alive = false
		case <-time.After(time.Duration(k.random.IntN(300)) * time.Millisecond):
			k.state.change(k.random)
			k.turn()
		}
	}
	w.Process.Kill()
	w.Wait()
	if left, _ := filepath.Glob(filepath.Join(k.root, "state", "*.tmp")); len(left) > 0 {
		k.loading++
	}
	if said := w.said.String(); said != "" {
		k.t.Errorf("farmc watch said\n%s", said)
	}
}
