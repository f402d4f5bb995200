package packettest

import (
	"math/rand/v2"
	"os"
	"testing"

	"farmc/cmd/internal/netlab"
)

// TestReloadKeepsPersistence reloads farms with persistence, with changes to them and to other farms. Each client keeps
// its backend while the backend takes connections, and moves when it is down. Entries keep their time. STRESS=1 takes
// more clients and reloads.
func TestReloadKeepsPersistence(t *testing.T) {
	t.Parallel()
	clients, reloads := 6, 8
	if os.Getenv("STRESS") != "" {
		clients, reloads = 249, 50 // of each family, with two farms each: 996 entries
	}
	a := &persistenceRun{testbed: newTestbed(t, netlab.Options{}), random: rand.New(rand.NewPCG(3, 4)),
		backendOf: map[string]string{}}
	a.states = [2][3]string{{"up", "up", "up"}, {"up", "up", "up"}}
	must(t, a.farms().do(a.testbed))
	must(t, a.meet(clients))
	moved := 0
	for range reloads {
		a.change()
		before := must1(a.expires())(t)
		must(t, a.farms().do(a.testbed))
		if after := must1(a.expires())(t); after > before {
			t.Fatalf("the entry would have expired in %v, and now expires in %v", before, after)
		}
		moved += a.forgetDown()
		must(t, a.meet(clients))
	}
	t.Logf("%d reloads: all %d clients kept their backends, except for %d moves from backends that were down", reloads,
		len(a.backendOf), moved)
	if moved == 0 {
		t.Error("no client had a backend that was down")
	}
}
