package packettest

import (
	"os"
	"testing"
)

// TestKilledUnderTraffic kills farmc watch at random moments while farms change, and starts it again, while clients
// open short connections all the time, and others hold long ones. None fails and none breaks, because their services
// are always served. STRESS=1 kills it 300 times (make stress).
func TestKilledUnderTraffic(t *testing.T) {
	plan, kills := trafficPlan{clients: 12, holders: 8}, 8
	if os.Getenv("STRESS") != "" {
		plan, kills = trafficPlan{clients: 40, holders: 20}, 300
	}
	k := &killedWatch{traffic: newTraffic(t, plan), program: farmc(t), root: t.TempDir(),
		state: changingFarms{web: []int{1, 1, 1}, shop: []int{1, 1, 1}, schedulers: []string{"random", "random"}}}
	k.changeFarms()
	k.run("apply")
	k.start()
	for range kills {
		k.runOnce()
	}
	k.run("apply")
	k.run("diff")
	k.stop()
	t.Logf("killed %d times, %d of them in the middle of a load, with %d changes: %d connections opened, "+
		"%d failed; %d held, %d broken",
		kills, k.loading, k.changes, k.opened.Load(), k.failed.Load(), plan.holders, k.broken.Load())
	if k.failed.Load() > 0 || k.broken.Load() > 0 {
		t.Errorf("the first failed as %v", k.first)
	}
	if n := k.opened.Load(); n < int64(kills) {
		t.Errorf("only %d connections were opened", n)
	}
}
