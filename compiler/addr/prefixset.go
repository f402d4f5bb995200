package addr

import (
	"math/bits"
	"slices"
)

// A PrefixSet is a set of networks of one length, which the kernel finds an address in by a single hash.
type PrefixSet struct {
	Length int
	Firsts []Number // the networks' first addresses, in their order
}

// Holds says whether the address, of the family of the set, is in one of its networks.
func (s PrefixSet) Holds(a Number, f Family) bool {
	i, _ := slices.BinarySearchFunc(s.Firsts, a.plus(power(0)), Number.compare)
	return i > 0 && (s.Length == 0 || a.compare(s.Firsts[i-1].plus(power(f.Width()-s.Length))) < 0)
}

// PrefixSets parts the ranges, which are merged, into sets of few lengths.
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

// One more length of networks costs a lookup for every packet, and saves elements. A lookup is worth an eighth of the
// elements, and at least leastWorth elements.
const leastWorth = 64

// lengthsFor gives for each length of networks, of which there are so many, the one that they are written as: their
// own, or a longer one (Srinivasan and Varghese, "Faster IP lookups using controlled prefix expansion", SIGMETRICS
// 1998). It is the choice with the least of elements and lookups together. Numbers are rounded up to powers of two for
// that, so that a list with a line more or less is written with the same lengths, but rarely.
func lengthsFor(counts []int) []int {
	rounded, all := make([]int, len(counts)), 0
	last := 0
	for length, n := range counts {
		if n > 0 {
			rounded[length], last = 1<<bits.Len(uint(n-1)), length
		}
		all += rounded[length]
	}
	// For the lengths up to this one, if it is taken: the price, and the length that is taken before it.
	least, before := make([]int, last+1), make([]int, last+1)
	for length := 1; length <= last; length++ {
		least[length] = unaffordable
		elements := 0
		for from := length - 1; from >= 0; from-- { // all from there on are written as this one
			elements += expanded(rounded[from+1], length-from-1)
			if price := least[from] + elements + max(leastWorth, all/8); price < least[length] {
				least[length], before[length] = price, from
			}
		}
	}
	out := make([]int, len(counts))
	for taken := last; taken > 0; taken = before[taken] {
		for length := before[taken] + 1; length <= taken; length++ {
			out[length] = taken
		}
	}
	return out
}

const unaffordable = 1 << 50

// expanded is how many networks come of n of them if they are by so many bits longer.
func expanded(n, by int) int {
	switch {
	case n == 0:
		return 0
	case by > 20:
		return unaffordable / 256
	}
	return n << by
}
