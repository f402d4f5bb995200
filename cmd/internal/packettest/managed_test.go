package packettest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"farmc/cmd/internal/netlab"
)

// TestManagedFromNothing makes, changes and deletes a farm by requests of the API. Connections follow each reply, and
// the files have no fault.
func TestManagedFromNothing(t *testing.T) {
	m := prepareManaged(t, &traffic{testbed: newTestbed(t, netlab.Options{})})
	m.startWatch()
	c := &apiClient{managed: m, Client: unixClient(m.at("api"))}
	backend := func(n int) map[string]any {
		addresses := []string{fmt.Sprint("10.2.0.1", n), fmt.Sprint("fd00:2::1", n)}
		return map[string]any{"address": addresses, "port": 8080 + n}
	}
	farm := map[string]any{"take-over": true, "mode": "snat", "listen": []string{"192.0.2.1:80", "[2001:db8::1]:80"},
		"backends": map[string]any{"b1": backend(1), "b2": backend(2)}}
	answered := func(of shares) step { return request{by: "tcp", to: service1, shares: of, sees: "balancer"} }
	unbalanced := request{by: "tcp", to: service1, shares: shares{"balancer:80": 1}}
	for _, change := range []struct {
		method, path string
		body         any
		status       int
		then         step
	}{
		{"PUT", "", farm, 201, answered(shares{"b1:8081": 1, "b2:8082": 1})},
		{"PATCH", "/backends/b1", map[string]any{"weight": 3}, 200, answered(shares{"b1:8081": 3, "b2:8082": 1})},
		{"PUT", "/backends/b3", backend(3), 201, answered(shares{"b1:8081": 3, "b2:8082": 1, "b3:8083": 1})},
		{"DELETE", "/backends/b1", nil, 200, answered(shares{"b2:8082": 1, "b3:8083": 1})},
		{"PATCH", "", map[string]any{"state": "down"}, 200, unbalanced},
		{"PATCH", "", map[string]any{"state": nil}, 200, answered(shares{"b2:8082": 1, "b3:8083": 1})},
		{"DELETE", "", nil, 200, unbalanced},
	} {
		status, _ := c.ask(change.method, "/v1/farms/web"+change.path, change.body, "", nil)
		if status != change.status {
			t.Fatalf("%s %s: %d, want %d", change.method, change.path, status, change.status)
		}
		if err := change.then.do(m.testbed); err != nil {
			t.Fatalf("after %s %s: %v\nfarmc watch said\n%s", change.method, change.path, err, m.watch.said.String())
		}
		if d := m.difference(); d != "" {
			t.Errorf("after %s %s: %s", change.method, change.path, d)
		}
	}
	must(t, m.watch.stop())
}

// TestManagedUnderTraffic has 50 clients of the API add, change and delete farms and backends, while other farms have
// traffic, files are edited by hand, and drop-ins come and go. At the end files, kernel and listing agree; no
// connection is lost; no reply said success wrongly; no update with If-Match is lost. STRESS=1 takes a minute (make
// stress).
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
