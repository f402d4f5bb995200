package packettest

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestRush reloads with traffic running: clients open short connections all the time, others hold long ones. None fails
// and none is cut, as the services that they use are served all along. STRESS=1 takes the numbers that are worth telling
// (make stress), and tells what loads of the complete script come to beside.
func TestRush(t *testing.T) {
	plan := rushPlan{reloads: 15, clients: 24, holders: 8}
	ways := map[string]func(s *stage, f farms) error{"only the changes": farmsOnly}
	if os.Getenv("STRESS") != "" {
		plan = rushPlan{reloads: 300, clients: 200, holders: 20}
		ways["the complete script"] = complete
	}
	for name, load := range ways {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			c := newRush(t, plan)
			c.play(load)
			t.Logf("%d reloads, %s each: %d connections opened, %d failed; of %d that were held %d were cut; %.1f connections a ms, %v for a reload",
				plan.reloads, name, c.opened.Load(), c.failed.Load(), plan.holders, c.cut.Load(), float64(c.opened.Load())/float64(c.took.Milliseconds()), c.took/time.Duration(plan.reloads))
			if c.opened.Load() < int64(plan.clients) {
				t.Errorf("only %d connections were opened", c.opened.Load())
			}
			if name == "only the changes" && (c.failed.Load() > 0 || c.cut.Load() > 0) {
				t.Errorf("the first failed as %v", c.first)
			}
		})
	}
}
