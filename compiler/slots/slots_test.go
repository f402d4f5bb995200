package slots

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestAssign(t *testing.T) {
	for _, test := range []struct {
		rule    string
		weights []int
		want    []int
	}{
		{"one", []int{1}, []int{0}},
		{"one-of-any-weight", []int{1000}, []int{0}},
		{"equal", []int{1, 1, 1}, []int{0, 1, 2}},
		{"equal-but-large", []int{500, 500}, []int{0, 1}},
		{"common-divisor", []int{30, 10}, []int{0, 0, 1, 0}},
		{"interleaved", []int{3, 2, 1}, []int{0, 1, 0, 2, 1, 0}},
		{"the-first-of-equals-begins", []int{2, 2, 1}, []int{0, 1, 2, 0, 1}},
		{"nearly-equal", []int{1000, 995}, []int{0, 1}},
	} {
		t.Run(test.rule, func(t *testing.T) {
			if got := Assign(test.weights); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestAssignOfAThousandToOne(t *testing.T) {
	got := Assign([]int{1000, 1})
	if counts := counted(got, 2); len(got) != 1000 || !slices.Equal(counts, []int{999, 1}) {
		t.Errorf("%d slots, %v", len(got), counts)
	}
}

// TestAssignIsExact tries all pairs of weights that an administrator is likely to write, and random farms of up to 100.
func TestAssignIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 0))
	var all [][]int
	for a := 1; a <= 120; a++ {
		for b := a; b <= 120; b++ {
			all = append(all, []int{a, b})
		}
	}
	for n := 1; n <= 100; n++ {
		weights := make([]int, n)
		for i := range weights {
			weights[i] = 1 + r.IntN(pick(r, 3, 10, 100, 1000))
		}
		all = append(all, weights)
	}
	for _, weights := range all {
		slots := Assign(weights)
		sum := 0
		for _, w := range weights {
			sum += w
		}
		if len(slots) > sum {
			t.Errorf("%v are dealt %d slots, more than their sum", weights, len(slots))
		}
		for i, n := range counted(slots, len(weights)) {
			want := float64(weights[i]) / float64(sum)
			if got := float64(n) / float64(len(slots)); got < want*0.99 || got > want*1.01 {
				t.Errorf("%v: the share of %d is %g, not %g", weights, i, got, want)
			}
		}
	}
}

// TestAssignIsSpread: no backend waits much longer for a turn than its share asks for.
func TestAssignIsSpread(t *testing.T) {
	for _, weights := range [][]int{{3, 1}, {5, 1, 1}, {10, 7, 3}, {1, 1, 1, 1}, {100, 50, 1}} {
		t.Run(fmt.Sprint(weights), func(t *testing.T) {
			slots := Assign(weights)
			counts := counted(slots, len(weights))
			last := make([]int, len(weights))
			for i := range last {
				last[i] = -1
			}
			for slot, i := range append(slots, slots...) {
				if gap, fair := slot-last[i], len(slots)/counts[i]; last[i] >= 0 && gap > 2*fair+1 {
					t.Errorf("%d waits for %d slots, in all turns it has %d of %d: %v", i, gap, counts[i], len(slots),
						slots)
				}
				last[i] = slot
			}
		})
	}
}

func counted(slots []int, n int) []int {
	counts := make([]int, n)
	for _, i := range slots {
		counts[i]++
	}
	return counts
}

func TestMaglev(t *testing.T) {
	keys := []string{"10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.14", "10.0.0.15"}
	equal := []int{1, 1, 1, 1, 1}
	table := Maglev(keys, equal, 2039)
	t.Run("every-slot-is-somebodys", func(t *testing.T) {
		if len(table) != 2039 || slices.Min(table) != 0 || slices.Max(table) != 4 {
			t.Errorf("%d slots of %d to %d", len(table), slices.Min(table), slices.Max(table))
		}
	})
	t.Run("shares", func(t *testing.T) {
		for i, n := range counted(table, 5) {
			if n < 2039/5-1 || n > 2039/5+1 {
				t.Errorf("%d has %d of 2039 slots", i, n)
			}
		}
	})
	t.Run("order-makes-no-difference", func(t *testing.T) {
		turned := Maglev([]string{keys[4], keys[2], keys[3], keys[0], keys[1]}, equal, 2039)
		for slot, i := range turned {
			if want := []int{4, 2, 3, 0, 1}[i]; table[slot] != want {
				t.Fatalf("slot %d is %s's, not %s's", slot, keys[want], keys[table[slot]])
			}
		}
	})
	t.Run("few-others-move", func(t *testing.T) {
		less := Maglev(keys[:4], equal[:4], 2039)
		moved, others := 0, 0
		for slot, i := range table {
			if i == 4 {
				continue
			}
			others++
			if less[slot] != i {
				moved++
			}
		}
		if share := float64(moved) / float64(others); share > 0.02 {
			t.Errorf("%.1f %% of the others move", 100*share)
		}
	})
	t.Run("the-same-for-ever", func(t *testing.T) { // another table would move clients with an upgrade
		want := []int{0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1}
		if got := Maglev(keys[:2], equal[:2], 13); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
	t.Run("weights", func(t *testing.T) {
		counts := counted(Maglev(keys[:3], []int{3, 2, 1}, 2039), 3)
		for i, want := range []int{1020, 680, 340} {
			if counts[i] < want-2 || counts[i] > want+2 {
				t.Errorf("%d has %d slots, not %d", i, counts[i], want)
			}
		}
	})
}

func TestMaglevSize(t *testing.T) {
	for _, test := range []struct {
		rule    string
		weights []int
		want    int
	}{
		{"one", []int{1}, 2},
		{"two", []int{1, 1}, 4093}, // as ten: another size would move nearly all clients
		{"ten", []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 4093},
		{"eleven", slices.Repeat([]int{1}, 11), 16381},
		{"a-small-share", []int{100, 1}, 16381},
		{"a-thousand", slices.Repeat([]int{1}, 1000), 65521},
	} {
		if got := MaglevSize(test.weights); got != test.want {
			t.Errorf("%s: got %d, want %d", test.rule, got, test.want)
		}
	}
}

// TestAssignIsSmoothRoundRobin compares with nginx's algorithm as it is written there: one credit for each backend.
func TestAssignIsSmoothRoundRobin(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 0))
	for range 200 {
		weights := make([]int, 1+r.IntN(30))
		for i := range weights {
			weights[i] = 1 + r.IntN(pick(r, 3, 10, 100, 1000))
		}
		slots := Assign(weights)
		if len(slots) != Number(weights) {
			t.Errorf("%v: %d slots, and %d are announced", weights, len(slots), Number(weights))
		}
		if want := smoothRoundRobin(counted(slots, len(weights))); !slices.Equal(slots, want) {
			t.Errorf("%v: got %v, want %v", weights, slots, want)
		}
	}
}

func smoothRoundRobin(counts []int) []int {
	out, credits := make([]int, Sum(counts)), make([]int, len(counts))
	for slot := range out {
		best := 0
		for i, n := range counts {
			if credits[i] += n; credits[i] > credits[best] {
				best = i
			}
		}
		credits[best] -= len(out)
		out[slot] = best
	}
	return out
}
