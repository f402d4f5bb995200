package slots

import "slices"

// Weights become slots: a map with a number of slots in which each backend has as many as its share asks for, so
// that to choose a backend is a single lookup, for any weights.

// Max bounds the slots of all farms together: nft takes 22 s and 1.5 GB to load 2^21 of them.
const Max = 1 << 21

// mostRungs bounds the ladder: farms share no larger number. A farm that needs more slots to be exact takes the sum of
// its weights.
const mostRungs = 1 << 18

// ladder are the numbers of slots that farms share: each number is a shape, with a chain and a map of its own, and
// farms have all sorts of weights. Up to 64 all numbers are on it. Beyond 64 only numbers without a prime factor
// above 5 are on it, as they divide evenly among many numbers of backends.
var ladder = func() []int {
	var out []int
	for n := 1; n <= 64; n++ {
		out = append(out, n)
	}
	for a := 1; a <= mostRungs; a *= 2 {
		for b := a; b <= mostRungs; b *= 3 {
			for c := b; c <= mostRungs; c *= 5 {
				out = append(out, c)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}()

// exactness is by how much of itself a backend's share of the slots may differ from its share of the weights.
const exactness = 0.01

// Deal gives for each slot the index of the weight that it belongs to. Shares are exact to 1 % of themselves, and a
// backend's slots are spread evenly (smooth weighted round robin), so that a counter that goes round them interleaves
// the backends.
func Deal(weights []int) []int {
	portions := portions(weights)
	if Sum(portions) > Max {
		return make([]int, Sum(portions)) // a fault in any case, and to spread so many takes long
	}
	return interleave(portions)
}

// portions gives each weight its number of slots: of the numbers on the ladder the smallest that is exact enough,
// else the sum of the weights, which is exact.
func portions(weights []int) []int {
	divisor, sum := 0, 0
	for _, w := range weights {
		divisor = gcd(divisor, w)
	}
	reduced := make([]int, len(weights))
	for i, w := range weights {
		reduced[i] = w / divisor
		sum += reduced[i]
	}
	for _, n := range ladder {
		if n >= sum {
			break
		}
		if got, ok := apportion(reduced, sum, n); ok {
			return got
		}
	}
	return reduced
}

// apportion deals n slots by the largest remainder (Hamilton's method), and says whether each share is exact enough.
func apportion(weights []int, sum, n int) ([]int, bool) {
	if n < len(weights) {
		return nil, false
	}
	got := make([]int, len(weights))
	order := make([]int, len(weights))
	left := n
	for i, w := range weights {
		got[i] = w * n / sum
		left -= got[i]
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return weights[b]*n%sum - weights[a]*n%sum })
	for _, i := range order[:left] {
		got[i]++
	}
	for i, w := range weights {
		want := float64(w) * float64(n) / float64(sum)
		if off := float64(got[i]) - want; off > want*exactness || off < -want*exactness {
			return nil, false
		}
	}
	return got, true
}

// interleave gives each slot to the weight that has the turn.
func interleave(portions []int) []int {
	turns := newTurns(portions)
	out := make([]int, turns.sum)
	for slot := range out {
		out[slot] = turns.next()
	}
	return out
}

// turns go round weights so that each comes as often as it weighs, and as evenly as can be (smooth weighted round
// robin, as nginx does since 1.3.1).
type turns struct {
	weights, credit []int
	sum             int
}

func newTurns(weights []int) *turns {
	t := &turns{weights: weights, credit: make([]int, len(weights))}
	for _, w := range weights {
		t.sum += w
	}
	return t
}

// next adds to each credit its weight. The weight with the largest credit has the turn, and pays the sum for it.
func (t *turns) next() int {
	richest := 0
	for i, w := range t.weights {
		t.credit[i] += w
		if t.credit[i] > t.credit[richest] {
			richest = i
		}
	}
	t.credit[richest] -= t.sum
	return richest
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
