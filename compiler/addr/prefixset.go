package addr

import (
	"math/bits"
	"slices"
)

// A PrefixSet is a set of networks of one prefix length. The kernel finds an address in it by one hash lookup.
type PrefixSet struct {
	Length int      // of the prefixes, from 1 to the family's width
	Firsts []Number // first addresses of the networks, ascending
}

// Holds reports whether the address is in one of the networks. Both are of the family f.
func (s PrefixSet) Holds(a Number, f Family) bool {
	i, _ := slices.BinarySearchFunc(s.Firsts, a.plus(power(0)), Number.compare)
	return i > 0 && (s.Length == 0 || a.compare(s.Firsts[i-1].plus(power(f.Width()-s.Length))) < 0)
}

// PrefixSets divides ranges of the family f into sets of few prefix lengths. The ranges must be as Merge returns them.
func PrefixSets(ranges []Range, f Family) []PrefixSet {
	counts := make([]int, f.Width()+1)
	for _, s := range ranges {
		s.EachPrefix(f, func(_ Number, length int) { counts[length]++ })
	}
	to := lengthsFor(counts)
	sets := make([]PrefixSet, len(counts))
	for _, s := range ranges {
		s.EachPrefix(f, func(first Number, length int) {
			set, step := &sets[to[length]], power(f.Width()-to[length])
			for range 1 << (to[length] - length) {
				set.Firsts = append(set.Firsts, first)
				first = first.plus(step)
			}
		})
	}
	for length := range sets {
		sets[length].Length = length
	}
	return slices.DeleteFunc(sets, func(s PrefixSet) bool { return len(s.Firsts) == 0 })
}

// minLookupPrice is the least price of a prefix length, in elements. One more length costs a lookup for every packet,
// and saves elements. The price of a length is an eighth of all elements, and at least minLookupPrice.
const minLookupPrice = 64

// lengthsFor gives, for each prefix length, the length that its networks are written with: the same, or a longer one
// (controlled prefix expansion: Srinivasan and Varghese, "Faster IP lookups using controlled prefix expansion",
// SIGMETRICS 1998). counts has the number of networks of each length. The result has the least price of elements and
// lookups together. Counts are rounded up to powers of two first, so that one line more or less in a list rarely
// changes the lengths.
func lengthsFor(counts []int) []int {
	rounded, all, last := roundUp(counts)
	before := cheapest(rounded[:last+1], max(minLookupPrice, all/8))
	out := make([]int, len(counts))
	for length := last; length > 0; length = before[length] {
		for shorter := before[length] + 1; shorter <= length; shorter++ {
			out[shorter] = length
		}
	}
	return out
}

// roundUp rounds counts up to powers of two, and gives the sum of the results and the last index that is not 0.
func roundUp(counts []int) (rounded []int, sum, last int) {
	rounded = make([]int, len(counts))
	for length, n := range counts {
		if n > 0 {
			rounded[length], last = 1<<bits.Len(uint(n-1)), length
		}
		sum += rounded[length]
	}
	return rounded, sum, last
}

// cheapest gives, for each length in the result of lengthsFor, the next shorter length in the result. It finds the
// cheapest lengths by dynamic programming: least[n] is the lowest price of all networks up to length n, if n is in the
// result.
func cheapest(counts []int, lookupPrice int) (before []int) {
	least, before := make([]int, len(counts)), make([]int, len(counts))
	for length := 1; length < len(counts); length++ {
		least[length] = unaffordable
		elements := 0
		for from := length - 1; from >= 0; from-- { // networks longer than from are written with length
			elements += expanded(counts[from+1], length-from-1)
			if price := least[from] + elements + lookupPrice; price < least[length] {
				least[length], before[length] = price, from
			}
		}
	}
	return before
}

// unaffordable is a price above that of any result.
const unaffordable = 1 << 50

// expanded is the number of networks that n networks become when their prefixes grow by so many bits.
func expanded(n, by int) int {
	switch {
	case n == 0:
		return 0
	case by > 20:
		return unaffordable / 256
	}
	return n << by
}
