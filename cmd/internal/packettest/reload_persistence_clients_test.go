package packettest

import (
	"math/rand/v2"
	"os"
	"testing"

	"farmc/cmd/internal/netlab"
)

// TestClientsMeetAgain reloads farms with persistence, with changes to them and to others. Each client meets its backend
// again while that takes clients, another one with the next connection when it is down, and is remembered for as long as
// it would have been without the reload. STRESS=1 takes more clients and reloads.
func TestClientsMeetAgain(t *testing.T) {
	t.Parallel()
	clients, reloads := 6, 8
	if os.Getenv("STRESS") != "" {
		clients, reloads = 249, 50 // of each family, with two farms each: 996 to be remembered
	}
	a := &acquaintance{stage: newStage(t, netlab.Options{}), random: rand.New(rand.NewPCG(3, 4)), home: map[string]string{}}
	a.states = [2][3]string{{"up", "up", "up"}, {"up", "up", "up"}}
	must(t, a.farms().do(a.stage))
	must(t, a.meet(clients))
	moved := 0
	for range reloads {
		a.change()
		before := must1(a.expires())(t)
		must(t, a.farms().do(a.stage))
		if after := must1(a.expires())(t); after > before {
			t.Fatalf("a client would have been forgotten in %v, and will be in %v", before, after)
		}
		moved += a.forget()
		must(t, a.meet(clients))
	}
	t.Logf("%d reloads: all of %d clients met their backends again, but %d times one whose backend was down", reloads, len(a.home), moved)
	if moved == 0 {
		t.Error("no backend of a client was down")
	}
}
