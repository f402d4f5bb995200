package slots

import (
	"cmp"
	"slices"
)

// maglevSizes are primes, as every backend's way through the table must meet every slot. They are few, as another size
// moves nearly all clients: up to 10 backends share the first, up to 40 the second.
var maglevSizes = []int{4093, 16381, 65521}

const (
	// maglevSpread is how many slots a backend has on average: with fewer, more clients of the others move when
	// one comes or goes (1.25 % at 400).
	maglevSpread = 400
	// maglevFinest is how many slots the backend with the smallest share has, so that it is exact to 1 %.
	maglevFinest = 100
)

// MaglevSize is the usual size of the table for these weights.
func MaglevSize(weights []int) int {
	if len(weights) == 1 {
		return 2 // the only backend has every slot, so the smallest size is enough
	}
	want := max(maglevSpread*len(weights), maglevFinest*Sum(weights)/slices.Min(weights))
	i, _ := slices.BinarySearch(maglevSizes, want)
	return maglevSizes[min(i, len(maglevSizes)-1)]
}

// Sum is the sum of the weights.
func Sum(weights []int) (sum int) {
	for _, w := range weights {
		sum += w
	}
	return sum
}

// Maglev fills a table of size slots, a prime, with the indices of the backends, which are told apart by keys: a
// backend that comes or goes takes or leaves its own slots, and few others change hands (Eisenbud et al., "Maglev: A
// Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4). Weights are the turns that a backend has
// to claim a slot. The order of the backends makes no difference.
func Maglev(keys []string, weights []int, size int) []int {
	order := make([]int, len(keys))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(keys[a], keys[b]) })
	claims := make([]claim, len(keys))
	ordered := make([]int, len(keys))
	for at, i := range order {
		claims[at] = newClaim(keys[i], size)
		ordered[at] = weights[i]
	}
	table := make([]int, size)
	for i := range table {
		table[i] = -1
	}
	turns := newTurns(ordered)
	for range size {
		at := turns.next()
		table[claims[at].take(table)] = order[at]
	}
	return table
}

// A claim is a backend's way through the table: a permutation of its slots.
type claim struct {
	slot, skip int
}

func newClaim(key string, size int) claim {
	return claim{int(Hash64("offset "+key) % uint64(size)), int(Hash64("skip "+key)%uint64(size-1)) + 1}
}

// take goes on to the next free slot.
func (c *claim) take(table []int) int {
	for table[c.slot] >= 0 {
		c.slot = (c.slot + c.skip) % len(table)
	}
	return c.slot
}
