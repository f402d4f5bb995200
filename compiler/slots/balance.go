package slots

import (
	"cmp"
	"math"
	"slices"
)

// AssignFinely is Assign with several slots for each weight, so that the share of a weight can change in small steps.
func AssignFinely(weights []int) []int {
	counts := fineCounts(weights)
	if sum := Sum(counts); sum > Max {
		return make([]int, sum)
	}
	return spread(counts)
}

// FineNumber gives the number of slots that AssignFinely makes, without making them.
func FineNumber(weights []int) int { return Sum(fineCounts(weights)) }

// finely is the number of slots for each weight up to which slots are multiplied, and maxFine a number of slots that
// is enough for any number of weights.
const (
	finely  = 16
	maxFine = 1 << 10
)

// fineCounts gives the number of slots of each weight: that of slotCounts, times one number. The shares are the same.
func fineCounts(weights []int) []int {
	counts := slotCounts(weights)
	sum, want := Sum(counts), min(finely*len(weights), maxFine)
	if len(weights) < 2 || sum >= want {
		return counts
	}
	for i := range counts {
		counts[i] *= (want + sum - 1) / sum
	}
	return counts
}

// A Load is the load of a backend, as far as a choice by open connections depends on it.
type Load struct {
	Weight int     // greater than 0
	Open   int     // connections
	Slots  int     // that the backend has, at least 1
	Lasts  float64 // seconds that a connection lasts, greater than 0: see Lifetimes
}

// Rebalance gives new numbers of slots to backends, so that connections that come at a rate per second go where the
// fewest are open by weight. It is weighted least connections over a time ahead: after it, all backends shall have the
// same number of open connections for each unit of weight. Of all slots only a part changes hands at once, and each
// backend keeps one.
func Rebalance(loads []Load, rate float64) []int {
	out, sum := make([]int, len(loads)), 0
	for i, l := range loads {
		out[i] = l.Slots
		sum += l.Slots
	}
	want := shareOut(levelled(loads, max(rate, 1/ahead)), sum)
	for range max(sum/slowness, 1) {
		giver, taker := extremes(out, want)
		if out[giver] <= want[giver] || out[taker] >= want[taker] {
			break
		}
		out[giver]--
		out[taker]++
	}
	return out
}

// ahead is the time in seconds after which loads shall be level. In a shorter one, shares would swing.
const ahead = 4.0

// slowness is the part of the slots that a step of Rebalance moves at most: 1/slowness.
const slowness = 8

// levelled gives for each backend its part of the rate. Of its open connections, the part e^(-ahead/Lasts) is still
// open after the time ahead, and new ones end as fast: rate * Lasts * (1 - e^(-ahead/Lasts)) of them are open then.
func levelled(loads []Load, rate float64) []float64 {
	stay, room := make([]float64, len(loads)), make([]float64, len(loads)) // in connections per second
	order := make([]int, len(loads))
	for i, l := range loads {
		kept := math.Exp(-ahead / l.Lasts)
		perRate := l.Lasts * (1 - kept)
		stay[i], room[i], order[i] = float64(l.Open)*kept/perRate, float64(l.Weight)/perRate, i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(stay[a]*room[b], stay[b]*room[a]) })
	filled, rooms, level := rate, 0.0, math.Inf(1)
	for _, i := range order { // the backends with the lowest loads reach the load of the next one
		if stay[i] >= level*room[i] {
			break
		}
		filled, rooms = filled+stay[i], rooms+room[i]
		level = filled / rooms
	}
	out := make([]float64, len(loads))
	for i := range loads {
		out[i] = max(0, level*room[i]-stay[i])
	}
	return out
}

// shareOut divides slots in proportion to shares, by the largest remainder. A share that is less than a slot has one;
// there are as many slots as shares, or more.
func shareOut(shares []float64, number int) []int {
	exact := atLeastOne(shares, number)
	out, order, left := make([]int, len(shares)), make([]int, len(shares)), number
	for i, e := range exact {
		out[i], order[i] = int(e), i
		left -= out[i]
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(exact[b]-math.Floor(exact[b]), exact[a]-math.Floor(exact[a]))
	})
	for _, i := range order[:min(max(left, 0), len(order))] {
		out[i]++
	}
	return out
}

// atLeastOne divides a number in proportion to shares, with 1 for each share that would have less.
func atLeastOne(shares []float64, number int) []float64 {
	out, raised := make([]float64, len(shares)), make([]bool, len(shares))
	for again := true; again; {
		again = false
		sum, rest := 0.0, float64(number)
		for i, s := range shares {
			if raised[i] {
				rest--
			} else {
				sum += s
			}
		}
		for i, s := range shares {
			if out[i] = 1; raised[i] {
				continue
			}
			if out[i] = s / sum * rest; !(out[i] >= 1) {
				raised[i], again = true, true
			}
		}
	}
	return out
}

// extremes gives the index with the most slots too many, and the one with the most slots too few.
func extremes(have, want []int) (giver, taker int) {
	for i := range have {
		if have[i]-want[i] > have[giver]-want[giver] {
			giver = i
		}
		if have[i]-want[i] < have[taker]-want[taker] {
			taker = i
		}
	}
	return giver, taker
}
