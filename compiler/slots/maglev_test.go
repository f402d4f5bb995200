package slots

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"
)

// servers are n keys of backends, in their order.
func servers(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("10.%d.%d.%d:8080", i>>16, i>>8&255, i&255)
	}
	slices.Sort(out)
	return out
}

func equals(n int) []int { return slices.Repeat([]int{1}, n) }

// populate is the pseudo-code of the paper, section 3.4, line by line.
func populate(permutation [][]int, m int) []int {
	n := len(permutation)
	next := make([]int, n)
	entry := slices.Repeat([]int{-1}, m)
	filled := 0
	for {
		for i := range n {
			c := permutation[i][next[i]]
			for entry[c] >= 0 {
				next[i]++
				c = permutation[i][next[i]]
			}
			entry[c] = i
			next[i]++
			filled++
			if filled == m {
				return entry
			}
		}
	}
}

// permutations are the paper's: each backend starts at its offset and goes on by its skip.
func permutations(names []string, m int) [][]int {
	out := make([][]int, len(names))
	for i, name := range names {
		offset := int(Hash64("offset "+name) % uint64(m))
		skip := int(Hash64("skip "+name)%uint64(m-1)) + 1
		for j := range m {
			out[i] = append(out[i], (offset+j*skip)%m)
		}
	}
	return out
}

func TestMaglevIsThatOfThePaper(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 10, 50} {
		for _, m := range []int{7, 251, 1021, 4093} {
			names := servers(n)
			if got, want := Maglev(names, equals(n), m), populate(permutations(names, m), m); !slices.Equal(got, want) {
				t.Errorf("%d backends, %d slots: %v, want %v", n, m, got, want)
			}
		}
	}
}

// With so many turns for each backend, no backend gets more than one slot more than another. The paper has 1 % for
// tables of 100 slots a backend.
func TestMaglevIsEven(t *testing.T) {
	for _, m := range append(slices.Clone(maglevSizes), 65537) {
		const n = 1000
		got := tally(Maglev(servers(n), equals(n), m), n)
		least, most := slices.Min(got), slices.Max(got)
		if most-least > 1 {
			t.Errorf("%d slots: %d to %d for each of %d backends", m, least, most, n)
		}
		if few := m / 100; few > 0 {
			got := tally(Maglev(servers(few), equals(few), m), few)
			if least, most := slices.Min(got), slices.Max(got); float64(most) > 1.01*float64(least) {
				t.Errorf("%d slots: %d to %d for each of %d backends", m, least, most, few)
			}
		}
	}
}

// tally counts the slots of each of n backends.
func tally(table []int, n int) []int {
	out := make([]int, n)
	for _, i := range table {
		out[i]++
	}
	return out
}

func TestMaglevWeights(t *testing.T) {
	for _, weights := range [][]int{
		{1}, {3, 1}, {1, 2, 3}, {5, 3, 2, 7, 11}, {100, 1}, {999, 1000}, {500, 1, 1}, {640, 13},
		{10, 20, 30, 40, 50, 60, 70, 80, 90, 100}, slices.Repeat([]int{1, 1, 2, 5}, 25),
	} {
		size := MaglevSize(weights)
		got := tally(Maglev(servers(len(weights)), weights, size), len(weights))
		sum := 0
		for _, w := range weights {
			sum += w
		}
		for i, w := range weights {
			if want := float64(size) * float64(w) / float64(sum); float64(got[i]) < want*0.99 ||
				float64(got[i]) > want*1.01 {
				t.Errorf("weights %v: backend %d has %d of %d slots, want %.1f", weights, i, got[i], size, want)
			}
		}
	}
}

func TestMaglevWhateverTheOrder(t *testing.T) {
	names, weights := servers(20), make([]int, 20)
	for i := range weights {
		weights[i] = 1 + i%4
	}
	want := owners(names, Maglev(names, weights, 4093))
	for range 5 {
		rand.Shuffle(len(names), func(i, j int) {
			names[i], names[j] = names[j], names[i]
			weights[i], weights[j] = weights[j], weights[i]
		})
		if got := owners(names, Maglev(names, weights, 4093)); !slices.Equal(got, want) {
			t.Errorf("another table for %v", names)
		}
	}
}

// owners are the keys that slots belong to.
func owners(names []string, table []int) []string {
	out := make([]string, len(table))
	for slot, i := range table {
		out[slot] = names[i]
	}
	return out
}

// A backend that goes takes its own slots with it, and at most 2 % of the others' change hands.
func TestMaglevMovesLittle(t *testing.T) {
	for _, weights := range [][]int{equals(10), {1, 2, 3, 1, 2, 3, 1, 2, 3, 4}} {
		names := servers(10)
		const size = 4093
		before := owners(names, Maglev(names, weights, size))
		for gone := range names {
			after := owners(without(names, gone), Maglev(without(names, gone), without(weights, gone), size))
			moved, stayed := 0, 0
			for slot, owner := range before {
				switch {
				case owner == names[gone]:
				case after[slot] != owner:
					moved++
				default:
					stayed++
				}
			}
			if moved*100 > 2*(moved+stayed) {
				t.Errorf("weights %v: without %s %d of %d slots of others change hands", weights, names[gone], moved,
					moved+stayed)
			}
		}
		if again := owners(names, Maglev(names, weights, size)); !slices.Equal(again, before) {
			t.Error("once it is back the table is another one")
		}
	}
}

func without[T any](all []T, i int) []T { return slices.Delete(slices.Clone(all), i, i+1) }
