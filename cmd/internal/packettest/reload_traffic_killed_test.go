package packettest

import (
	"os"
	"testing"
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
