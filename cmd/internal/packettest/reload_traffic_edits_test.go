package packettest

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestReloadUnderTraffic reloads while clients open short connections all the time, and others hold long ones. None
// fails and none breaks, because their services are always served. STRESS=1 takes more clients and reloads (make
// stress), and compares with loads of the complete script.
func TestReloadUnderTraffic(t *testing.T) {
	plan := trafficPlan{reloads: 15, clients: 24, holders: 8}
	ways := map[string]func(s *testbed, f farms) error{"only the changes": loadChanges}
	if os.Getenv("STRESS") != "" {
		plan = trafficPlan{reloads: 300, clients: 200, holders: 20}
		ways["the complete script"] = loadAll
	}
	for name, load := range ways {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			c := newTraffic(t, plan)
			c.play(load)
			t.Logf("%d reloads, %s each: %d connections opened, %d failed; %d held, "+
				"%d broken; %.1f connections a ms, %v for a reload",
				plan.reloads, name, c.opened.Load(), c.failed.Load(), plan.holders, c.broken.Load(),
				float64(c.opened.Load())/float64(c.took.Milliseconds()), c.took/time.Duration(plan.reloads))
			if c.opened.Load() < int64(plan.clients) {
				t.Errorf("only %d connections were opened", c.opened.Load())
			}
			if name == "only the changes" && (c.failed.Load() > 0 || c.broken.Load() > 0) {
				t.Errorf("the first failed as %v", c.first)
			}
		})
	}
}
