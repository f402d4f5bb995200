package ruleset

import (
	"math"
	"math/rand/v2"
	"testing"

	"farmc/compiler/farm"
)

// TestDrawsShareAlike: each slot gets one datagram of as many as there are slots, drawn at random or in turn, however
// the slots are spread over the steps.
func TestDrawsShareAlike(t *testing.T) {
	s := newService(&farm.Farm{Mode: farm.DSR, PerPacket: true})
	for seed := range uint64(500) {
		stepOf := randomSteps(rand.New(rand.NewPCG(seed, 1)))
		d := s.draws(stepOf)
		slotAt := map[[2]int]int{} // by step and number
		for slot, step := range stepOf {
			slotAt[[2]int{step, d.slots[slot]}] = slot
		}
		if len(slotAt) != len(stepOf) {
			t.Fatalf("%v: two slots have one number: %v", stepOf, d)
		}
		left := 1.0
		for step, number := range d.numbers {
			each := left / float64(number)
			for n := range number {
				if _, ok := slotAt[[2]int{step, n}]; ok {
					left -= each
				}
			}
			if want := 1 / float64(len(stepOf)); math.Abs(each-want) > 1e-9 {
				t.Errorf("%v: a slot of step %d gets %g, want %g", stepOf, step, each, want)
			}
		}
		if math.Abs(left) > 1e-9 {
			t.Errorf("%v: %g of the datagrams reach no backend", stepOf, left)
		}
		eachInTurn(t, d, stepOf, slotAt)
	}
}

// eachInTurn draws in turn: each step counts the datagrams that reach the step.
func eachInTurn(t *testing.T, d draws, stepOf []int, slotAt map[[2]int]int) {
	t.Helper()
	got, turns := make([]int, len(stepOf)), make([]int, len(d.numbers))
	for range stepOf {
		for step, number := range d.numbers {
			turn := turns[step] % number
			turns[step]++
			if slot, ok := slotAt[[2]int{step, turn}]; ok {
				got[slot]++
				break
			}
		}
	}
	for slot, n := range got {
		if n != 1 {
			t.Errorf("%v: slot %d gets %d datagrams of one turn", stepOf, slot, n)
		}
	}
}

// randomSteps gives up to 30 slots of up to four steps; each step has a slot.
func randomSteps(r *rand.Rand) []int {
	steps := 1 + r.IntN(4)
	out := make([]int, steps+r.IntN(27))
	for i := range out {
		if out[i] = i; i >= steps {
			out[i] = r.IntN(steps)
		}
	}
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// TestDrawsOfHashes: a hash gives the same number in each step.
func TestDrawsOfHashes(t *testing.T) {
	d := newService(&farm.Farm{Mode: farm.DSR}).draws([]int{0, 1, 0, 2})
	for slot, n := range d.slots {
		if n != slot {
			t.Errorf("slot %d has the number %d", slot, n)
		}
	}
	for step, number := range d.numbers {
		if number != 4 {
			t.Errorf("step %d has %d numbers", step, number)
		}
	}
}
