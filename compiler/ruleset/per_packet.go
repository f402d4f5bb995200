package ruleset

import "slices"

// A farm with per-packet draws a number for each datagram, and nothing remembers the number. A chain of several steps
// draws anew in each step, so the maps of its steps are numbered apart: a step draws from the slots of its own backends
// and of all later steps. A datagram that its map lacks goes on, and the next step draws from the slots that are left.
// The last step has all of its slots. So the shares are those of one draw: of the slots 0 to 3 with step 0 for the
// slots 0 and 2, a half ends in step 0, and a quarter at each of the slots 1 and 3. In turn it is the same, as the
// counter of a step counts only the datagrams that reach the step.

// draws are the numbers that the steps of a chain draw.
type draws struct {
	numbers []int // by step: it draws 0 to number - 1
	slots   []int // by slot of the assignment: its number in its step
}

// draws gives the numbers for slots, each with the index of its step. Without per-packet the number of a slot is the
// slot in all steps, as a hash gives the same slot again.
func (s *service) draws(stepOf []int) draws {
	out := draws{numbers: make([]int, slices.Max(stepOf)+1), slots: make([]int, len(stepOf))}
	for slot, step := range stepOf {
		out.slots[slot] = out.numbers[step]
		if !s.PerPacket {
			out.slots[slot], step = slot, len(out.numbers)-1
		}
		for i := range step + 1 {
			out.numbers[i]++
		}
	}
	return out
}
