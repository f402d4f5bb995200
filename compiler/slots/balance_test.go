package slots

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

func TestRebalance(t *testing.T) {
	for _, c := range []struct {
		name  string
		loads []Load
		rate  float64
		want  string
	}{
		{"equal", []Load{{1, 5, 16, 1e4}, {1, 5, 16, 1e4}}, 10, "[16 16]"},
		{"by-weight", []Load{{3, 30, 24, 1e4}, {1, 10, 8, 1e4}}, 40, "[24 8]"},
		{"a-few-slots-at-once", []Load{{1, 100, 16, 1e4}, {1, 0, 16, 1e4}}, 10, "[12 20]"},
		{"the-last-slot-stays", []Load{{1, 100, 2, 1e4}, {1, 0, 30, 1e4}}, 10, "[1 31]"},
		{"no-connection", []Load{{1, 0, 16, 1e4}, {1, 0, 16, 1e4}}, 0, "[16 16]"},
		{"weight-makes-room", []Load{{3, 20, 16, 1e4}, {1, 20, 16, 1e4}}, 10, "[20 12]"},
		{"many-arrivals-outweigh-a-difference", []Load{{1, 10, 16, 1e4}, {1, 0, 16, 1e4}}, 250, "[16 16]"},
		{"short-connections", []Load{{1, 10, 16, 0.1}, {1, 0, 16, 0.1}}, 10, "[16 16]"},
		{"shorter-connections-get-more", []Load{{1, 10, 16, 0.1}, {1, 10, 16, 0.05}}, 1, "[12 20]"},
		{"one-backend", []Load{{1, 7, 1, 1e4}}, 10, "[1]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := fmt.Sprint(Rebalance(c.loads, c.rate)); got != c.want {
				t.Errorf("%v become %s, not %s", c.loads, got, c.want)
			}
		})
	}
}

// TestRebalanceKeepsSlots: no slot is lost, each backend keeps one, and few change hands.
func TestRebalanceKeepsSlots(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		loads, sum := make([]Load, 1+random.IntN(20)), 0
		for i := range loads {
			loads[i] = Load{Weight: 1 + random.IntN(10), Open: random.IntN(1 << random.IntN(20)),
				Slots: 1 + random.IntN(40), Lasts: 0.01 + 100*random.Float64()}
			sum += loads[i].Slots
		}
		got, moved := Rebalance(loads, random.Float64()*float64(random.IntN(10000))), 0
		for i, n := range got {
			moved += max(0, n-loads[i].Slots)
		}
		if Sum(got) != sum || slices.Min(got) < 1 || moved > max(sum/slowness, 1) {
			t.Fatalf("%v become %v", loads, got)
		}
	}
}

// TestRebalanceEvensOut: in a simulation, the connections of one of four backends last ten times as long. By chance it
// would have 3.1 times the mean of the open connections; it comes near the mean, however long connections last.
func TestRebalanceEvensOut(t *testing.T) {
	for _, lasts := range []float64{0.5, 2, 10, 60} {
		if mean := simulate(lasts); mean > 1.3 || mean < 0.8 {
			t.Errorf("connections last %v s: the slow backend has %.2f times the mean", lasts, mean)
		}
	}
}

// simulate gives the mean of the open connections of the slow backend, in multiples of the mean of all four.
func simulate(lasts float64) float64 {
	random := rand.New(rand.NewPCG(3, 4))
	loads, known := make([]Load, 4), Lifetimes{}
	for i := range loads {
		loads[i] = Load{Weight: 1, Slots: 16}
	}
	rate, sum, rounds := 400/lasts, 0.0, 0
	for second := range int(40*lasts) + 200 {
		all := 0
		known.Age(1)
		for i := range loads {
			end := 1 - math.Exp(-1/(lasts*map[bool]float64{true: 10, false: 1}[i == 0]))
			arrived := int(rate*float64(loads[i].Slots)/64 + random.Float64())
			for range loads[i].Open + arrived {
				if random.Float64() < end {
					loads[i].Open--
				}
			}
			loads[i].Open += arrived
			all += loads[i].Open
			known.Note(strconv.Itoa(i), loads[i].Open, uint64(arrived), 1)
		}
		for i := range loads {
			loads[i].Lasts = known.Of(strconv.Itoa(i))
		}
		for i, n := range Rebalance(loads, rate) {
			loads[i].Slots = n
		}
		if second > int(20*lasts)+100 {
			sum += float64(loads[0].Open) / (float64(all) / 4)
			rounds++
		}
	}
	return sum / float64(rounds)
}
