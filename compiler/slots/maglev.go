package slots

import (
	"cmp"
	"slices"
)

// maglevSizes are the sizes of tables that farms use. They are primes, because the permutation of each backend must
// meet every slot. They are few, because another size moves nearly all clients. With equal weights the first serves up
// to 10 backends, the second up to 40.
var maglevSizes = []int{4093, 16381, 65521}

const (
	// maglevMeanSlots is the least mean number of slots of a backend. With fewer slots, more clients of the other
	// backends move when one comes or goes (1.25 % at 400).
	maglevMeanSlots = 400
	// maglevMinSlots is the least number of slots of the backend with the smallest weight: its share is exact to 1 %.
	maglevMinSlots = 100
)

// MaglevSize gives the default size of the table, a prime from 2 to 65521. Each of the weights, one at least, is
// greater than 0. The largest size is also the result for weights that would need more slots.
func MaglevSize(weights []int) int {
	if len(weights) == 1 {
		return 2 // all slots belong to the only backend
	}
	want := max(maglevMeanSlots*len(weights), maglevMinSlots*Sum(weights)/slices.Min(weights))
	i, _ := slices.BinarySearch(maglevSizes, want)
	return maglevSizes[min(i, len(maglevSizes)-1)]
}

// Sum gives the sum of the weights.
func Sum(weights []int) (sum int) {
	for _, w := range weights {
		sum += w
	}
	return sum
}

// Maglev gives the backend, an index into keys and weights, for each slot of a table. When a backend comes or goes, few
// slots of the other backends change (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer",
// NSDI 2016, section 3.4). Keys are distinct, weights are greater than 0, and size is a prime. The backends take turns
// to fill their next free slot, and a weight is the number of turns in a round. The order of the backends makes no
// difference.
func Maglev(keys []string, weights []int, size int) []int {
	order := sortedIndices(keys)
	permutations := make([]permutation, len(keys))
	ordered := make([]int, len(keys))
	for at, i := range order {
		permutations[at] = newPermutation(keys[i], size)
		ordered[at] = weights[i]
	}
	table := slices.Repeat([]int{free}, size)
	turns := newRoundRobin(ordered)
	for range size {
		at := turns.next()
		table[permutations[at].nextFree(table)] = order[at]
	}
	return table
}

// free marks a slot without a backend.
const free = -1

// sortedIndices gives the indices of the keys in the order of the keys.
func sortedIndices(keys []string) []int {
	order := make([]int, len(keys))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(keys[a], keys[b]) })
	return order
}

// A permutation is the order in which a backend prefers the slots of a table.
type permutation struct {
	slot, skip int
}

func newPermutation(key string, size int) permutation {
	return permutation{int(Hash64("offset "+key) % uint64(size)), int(Hash64("skip "+key)%uint64(size-1)) + 1}
}

// nextFree moves to the next free slot of the table, which must have one, and gives it.
func (p *permutation) nextFree(table []int) int {
	for table[p.slot] != free {
		p.slot = (p.slot + p.skip) % len(table)
	}
	return p.slot
}
