package slots

import (
	"fmt"
	"testing"
)

// The cluster that is simulated: the flows of a service with many backends, on balancers behind one router.
const (
	balancers  = 100
	backends   = 600
	flows      = 10_000_000
	buckets    = 1 << 14 // of a router with resilient hashing
	remembered = 65_535  // flows in the persistence table of a balancer, see farms.d(5)
)

// bounds are the least and the most of a share.
type bounds [2]float64

// TestCluster simulates changes of balancers and backends, and prints the share of flows that reach another balancer
// and another backend: go test ./compiler/slots -run Cluster -v.
//
// A router without resilient hashing divides the hashes into equal ranges (hash-threshold, RFC 2992, which bounds the
// share that moves by 1/4 to 1/2). One with it reassigns the buckets of a balancer that went, and takes an equal share
// of buckets for a new one (ip-nexthop(8), resilient groups).
func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates 10 million flows")
	}
	equal := ranges(balancers)
	all, fewer := maglevOf(backends), maglevOf(backends-1)
	for _, router := range []struct {
		name        string
		most        float64 // of the flows that move when a balancer goes or comes
		before      [buckets]int
		gone, added [buckets]int
	}{
		{"hash-threshold", 0.51, equal, ranges(balancers - 1), ranges(balancers + 1)},
		{"resilient", 1.1 / balancers, equal, bucketsWithout(equal), bucketsWith(equal)},
	} {
		none, moves := bounds{}, bounds{0.009, router.most}
		for _, c := range []struct {
			name          string
			after         *[buckets]int
			tables        [2][]int // of backends, before and after
			memory        bool
			moved, broken bounds
		}{
			{"a balancer dies", &router.gone, [2][]int{all, all}, false, moves, none},
			{"a balancer is added", &router.added, [2][]int{all, all}, false, moves, none},
			{"a backend is removed", &router.before, [2][]int{all, fewer}, false, none, bounds{0.001, 0.02}},
			{"the same, remembered", &router.before, [2][]int{all, fewer}, true, none, bounds{0, 0.01}},
			{"and a balancer is added", &router.added, [2][]int{all, fewer}, true, moves, bounds{0.0001, 0.02}},
		} {
			moved, broken := disruption(&router.before, c.after, c.tables, c.memory)
			t.Logf("%-14s  %-23s  %8.4f %% reach another balancer, %7.4f %% another backend", router.name,
				c.name, 100*moved, 100*broken)
			if moved < c.moved[0] || moved > c.moved[1] || broken < c.broken[0] || broken > c.broken[1] {
				t.Errorf("%s, %s: want %v, %v", router.name, c.name, c.moved, c.broken)
			}
		}
	}
}

// disruption is the share of flows that reach another balancer, and of flows that reach another backend though theirs
// is there. With memory a flow stays with its backend on a balancer that has room to remember it.
func disruption(before, after *[buckets]int, tables [2][]int, memory bool) (moved, broken float64) {
	var known [balancers + 1]int
	for i := range uint64(flows) {
		bucket, slot := mix(i)%buckets, mix(i+flows)%uint64(len(tables[0]))
		from, to := before[bucket], after[bucket]
		if from != to {
			moved++
		}
		known[from]++
		stays := memory && from == to && known[from] <= remembered
		was, is := tables[0][slot], tables[1][mix(i+flows)%uint64(len(tables[1]))]
		if was != is && was != backends-1 && !stays {
			broken++
		}
	}
	return moved / flows, broken / flows
}

// maglevOf is the table of n backends, of the size that farms have by default.
func maglevOf(n int) []int {
	keys, weights := make([]string, n), make([]int, n)
	for i := range n {
		keys[i], weights[i] = fmt.Sprintf("b%d", i), 1
	}
	return Maglev(keys, weights, 65521)
}

// ranges gives each of n balancers an equal range of the hashes.
func ranges(n int) (out [buckets]int) {
	for i := range out {
		out[i] = i * n / buckets
	}
	return out
}

// bucketsWithout gives the buckets of the last balancer to the others in turn.
func bucketsWithout(before [buckets]int) [buckets]int {
	next := 0
	for i, b := range before {
		if b == balancers-1 {
			before[i] = next % (balancers - 1)
			next++
		}
	}
	return before
}

// bucketsWith gives a new balancer an equal share of the buckets, from each of the others.
func bucketsWith(before [buckets]int) [buckets]int {
	for i := balancers; i < buckets; i += balancers + 1 {
		before[i] = balancers
	}
	return before
}

// mix is the finalizer of SplitMix64 (Steele et al., OOPSLA 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
