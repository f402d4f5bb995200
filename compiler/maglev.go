package compiler

import (
	"cmp"
	"hash/fnv"
	"slices"

	"farmc/compiler/addr"
	"farmc/compiler/toml"
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

// maglevSize is the size of the farm's table. All its backends count, also those that don't serve now: if one that is
// down made another size, the clients of all others would move.
func (f *Farm) maglevSize(family addr.Family) int {
	if f.TableSize != 0 {
		return f.TableSize
	}
	return maglevSize(f.weights(family))
}

// weights are those of all backends of the family, whatever their state.
func (f *Farm) weights(family addr.Family) []int {
	var out []int
	for _, b := range f.Backends {
		if b.Address.Has(family) {
			out = append(out, b.Weight)
		}
	}
	return out
}

// maglevSize is the usual size of the table for these weights.
func maglevSize(weights []int) int {
	if len(weights) == 1 {
		return 2 // whatever the slots, they are all the one's
	}
	want := max(maglevSpread*len(weights), maglevFinest*total(weights)/slices.Min(weights))
	i, _ := slices.BinarySearch(maglevSizes, want)
	return maglevSizes[min(i, len(maglevSizes)-1)]
}

func total(weights []int) (sum int) {
	for _, w := range weights {
		sum += w
	}
	return sum
}

// maglev fills a table of size slots, a prime, with the indices of the backends, which are told apart by keys: a
// backend that comes or goes takes or leaves its own slots, and few others change hands (Eisenbud et al., "Maglev: A
// Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4). Weights are the turns that a backend has
// to claim a slot. The order of the backends makes no difference.
func maglev(keys []string, weights []int, size int) []int {
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
	return claim{int(hash64("offset "+key) % uint64(size)), int(hash64("skip "+key)%uint64(size-1)) + 1}
}

// take goes on to the next free slot.
func (c *claim) take(table []int) int {
	for table[c.slot] >= 0 {
		c.slot = (c.slot + c.skip) % len(table)
	}
	return c.slot
}

// hash64 is FNV-1a, with a finalizer (that of MurmurHash3) as keys differ in their last characters only.
func hash64(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	x := h.Sum64()
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// readTableSize reads the size of maglev's table, a prime so that every backend's way through it meets every slot.
func readTableSize(t *toml.Table) int {
	n := t.Number("table-size", 0, 2, 65537)
	for d := 2; d*d <= n; d++ {
		if n%d == 0 {
			t.Fault(t.At("table-size"), "a prime: 251, 1021, 4093, 65537", "table-size: %d is %d times %d", n, d, n/d)
			return 0
		}
	}
	return n
}
