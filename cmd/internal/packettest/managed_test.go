package packettest

import (
	"os"
	"testing"
	"time"
)

// TestManagedUnderTraffic has 50 clients of the API add, change and delete farms and backends, while other farms have
// traffic, files are edited by hand, and drop-ins come and go. At the end files, kernel and listing agree; no connection
// is lost; no reply said success wrongly; no update with If-Match is lost. STRESS=1 takes a minute (make stress).
func TestManagedUnderTraffic(t *testing.T) {
	plan, clients, long := trafficPlan{clients: 2, holders: 4}, 50, 6*time.Second
	if os.Getenv("STRESS") != "" {
		plan, long = trafficPlan{clients: 24, holders: 20}, time.Minute
	}
	m := newManaged(t, plan)
	m.start()
	m.play(clients, long)
	m.stop()
	m.agree()
	t.Logf("%d changes, %d updates with If-Match, %d refused with 412 and %d with 503; %d connections opened, "+
		"%d failed; %d held, %d broken", m.changed.Load(), m.updated.Load(), m.outdated.Load(), m.busy.Load(),
		m.opened.Load(), m.failed.Load(), plan.holders, m.broken.Load())
	if m.failed.Load() > 0 || m.broken.Load() > 0 {
		t.Errorf("the first failed as %v", m.first)
	}
	if m.changed.Load() < 20 || m.updated.Load() == 0 || m.outdated.Load() == 0 || m.opened.Load() < 10 {
		t.Error("too little happened")
	}
}
