package slots

import (
	"math"
	"slices"
)

// Max is the largest number of slots of all farms together. nft 1.0.6 takes 22 s and 1.5 GB to load 2^21 of them.
const Max = 1 << 21

// maxShared is the largest of sharedSizes. Weights that need more slots for their shares take the sum of the weights.
const maxShared = 1 << 18

// sharedSizes are the numbers of slots to choose from. Each number in use costs a chain and a map, and farms of one
// number share them, so farms with all sorts of weights should use few numbers. Up to 64 every number is a choice. Of
// the larger ones, only numbers without a prime factor above 5 are, because they divide evenly among many numbers of
// backends.
var sharedSizes = func() []int {
	var out []int
	for n := 1; n <= 64; n++ {
		out = append(out, n)
	}
	for a := 1; a <= maxShared; a *= 2 {
		for b := a; b <= maxShared; b *= 3 {
			for c := b; c <= maxShared; c *= 5 {
				out = append(out, c)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}()

// tolerance bounds the relative error: the share of the slots of a backend against its share of the weights.
const tolerance = 0.01

// Assign gives for each slot the index of its weight. Each weight is greater than 0. The share of a weight is exact to
// 1 % of itself. The slots of a weight are spread evenly (smooth weighted round robin, nginx 1.3.1), so a counter that
// steps through the slots alternates between the backends. More than Max slots are not spread: all of them are 0.
func Assign(weights []int) []int {
	counts := slotCounts(weights)
	if sum := Sum(counts); sum > Max {
		return make([]int, sum) // the caller reports a fault, and to spread so many slots takes long
	}
	return spread(counts)
}

// Number gives the number of slots that Assign makes, without making them.
func Number(weights []int) int { return Sum(slotCounts(weights)) }

// slotCounts gives the number of slots of each weight. Their sum is the smallest of sharedSizes within the tolerance,
// or else the sum of the reduced weights, which is exact.
func slotCounts(weights []int) []int {
	reduced := reduce(weights)
	sum := Sum(reduced)
	for _, n := range sharedSizes {
		if n >= sum {
			break
		}
		if counts, ok := apportion(reduced, sum, n); ok {
			return counts
		}
	}
	return reduced
}

// reduce divides the weights by their greatest common divisor.
func reduce(weights []int) []int {
	divisor := 0
	for _, w := range weights {
		divisor = GreatestDivisor(divisor, w)
	}
	reduced := make([]int, len(weights))
	for i, w := range weights {
		reduced[i] = w / divisor
	}
	return reduced
}

// apportion divides n slots by the largest remainder (Hamilton's method), and reports whether each share is within the
// tolerance. The weights add up to sum.
func apportion(weights []int, sum, n int) ([]int, bool) {
	if n < len(weights) || !couldShare(weights, sum, n) {
		return nil, false
	}
	counts := make([]int, len(weights))
	order := make([]int, len(weights))
	left := n
	for i, w := range weights {
		counts[i] = w * n / sum
		left -= counts[i]
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return weights[b]*n%sum - weights[a]*n%sum })
	for _, i := range order[:left] {
		counts[i]++
	}
	return counts, withinTolerance(counts, weights, n, sum)
}

// couldShare reports whether each share of n slots, rounded down or up, is within the tolerance. Most numbers of slots
// fail here for one of the first weights, without a sort of all of them.
func couldShare(weights []int, sum, n int) bool {
	for _, w := range weights {
		want, down := float64(w)*float64(n)/float64(sum), w*n/sum
		if math.Abs(float64(down)-want) > want*tolerance && math.Abs(float64(down+1)-want) > want*tolerance {
			return false
		}
	}
	return true
}

// withinTolerance reports whether counts, which add up to n, are near enough to the shares of weights, which add up to
// sum.
func withinTolerance(counts, weights []int, n, sum int) bool {
	for i, w := range weights {
		want := float64(w) * float64(n) / float64(sum)
		if math.Abs(float64(counts[i])-want) > want*tolerance {
			return false
		}
	}
	return true
}

// spread gives the index of the count for each slot, so that each index is there as often as its count says.
func spread(counts []int) []int {
	turns := newRoundRobin(counts)
	out := make([]int, turns.sum)
	for slot := range out {
		out[slot] = turns.next()
	}
	return out
}

// A roundRobin gives turns to weights: in each round of as many turns as the sum of the weights, each weight has as
// many turns as it weighs, spread as evenly as possible (smooth weighted round robin, nginx 1.3.1).
//
// Each credit grows by its weight at each turn. The highest credit has the turn, the first of several, and is reduced
// by the sum of the weights. Equal weights have their turns one after the other, so only the next one of each is
// compared.
type roundRobin struct {
	groups []group
	sum    int // of the weights
}

// A group has the indices of equal weights, in ascending order, and the next one of them with its credit.
type group struct {
	weight, credit int
	index          int
	members        []int
	next           int // the place of index among the members
}

func newRoundRobin(weights []int) *roundRobin {
	r := &roundRobin{sum: Sum(weights)}
	groups := map[int]int{} // by weight
	for i, w := range weights {
		n, known := groups[w]
		if !known {
			n = len(r.groups)
			groups[w] = n
			r.groups = append(r.groups, group{weight: w, index: i})
		}
		r.groups[n].members = append(r.groups[n].members, i)
	}
	return r
}

// next gives the index of the weight that has the next turn. The loop runs for each pair of a slot and a weight: 2e9
// times for a farm of 1,000 different weights that fills Max slots.
func (r *roundRobin) next() int {
	best := &r.groups[0]
	best.credit += best.weight
	for n := 1; n < len(r.groups); n++ {
		g := &r.groups[n]
		g.credit += g.weight
		if g.credit > best.credit || g.credit == best.credit && g.index < best.index {
			best = g
		}
	}
	index := best.index
	best.turn(r.sum)
	return index
}

// turn goes on to the next member. Members of equal weight have equal credits until one had its turn, so the credit
// falls by the sum of the weights when all have had theirs.
func (g *group) turn(sum int) {
	if g.next++; g.next == len(g.members) {
		g.next = 0
		g.credit -= sum
	}
	g.index = g.members[g.next]
}

// GreatestDivisor gives the greatest common divisor of two numbers, one of which may be 0.
func GreatestDivisor(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
