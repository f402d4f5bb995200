package ruleset

import (
	"slices"
	"strings"

	"farmc/compiler/farm"
)

// A dsr farm can have this machine among its backends: the backend with an address of the machine. Maps lack its share,
// so these frames go on to the machine's own stack. Of the same farms another balancer makes other rules, in which this
// machine is a backend like the others.
//
// Two balancers that are backends of each other must not pass a frame to and fro: they pick different backends as long
// as their farms differ, and with per-packet in any case. So frames leave with a TTL of 1, and frames with a TTL of 1
// are kept. The kernel cannot forward them anyway. A balancer that is no backend itself forwards frames as they are:
// the next one keeps them, or forwards them for the last time.

// isThisMachine reports whether the machine is known to be a backend.
func (l *linker) isThisMachine(d frontend, b farm.Backend) bool { return l.isHere(b.Address[d.Family]) }

// isBackend reports whether the machine is a backend of the frontend's farm, in any state.
func (l *linker) isBackend(d frontend) bool {
	return slices.ContainsFunc(d.farm.Backends, func(b farm.Backend) bool { return l.isThisMachine(d, b) })
}

// hereName is the part of names that tells chains and maps of farms with this machine among their backends from others.
func (l *linker) hereName(d frontend) string {
	if l.isBackend(d) {
		return "-here"
	}
	return ""
}

// elsewhere gives the backends that need a step. A chain has one step at least.
func (l *linker) elsewhere(d frontend, backends []farm.Backend) []farm.Backend {
	if !l.isBackend(d) {
		return backends
	}
	others := slices.DeleteFunc(slices.Clone(backends), func(b farm.Backend) bool { return l.isThisMachine(d, b) })
	if len(others) == 0 {
		return backends[:1]
	}
	return others
}

// stepsOfSlots adds the steps of an assignment to a chain, and gives the index of the step for each slot. Slots of this
// machine come after the last step.
func (l *linker) stepsOfSlots(p *dsrPick, d frontend, a *slotAssignment) []int {
	here := make([]bool, len(a.serving)) // a maglev table has thousands of slots for a backend
	for i, b := range a.serving {
		here[i] = l.isThisMachine(d, b)
	}
	out := make([]int, len(a.slots))
	for slot, i := range a.slots {
		if !here[i] {
			out[slot] = p.stepIndex(d.farm, a.serving[i])
		}
	}
	if len(p.Steps) == 0 {
		p.step(d.farm, a.serving[0])
	}
	for slot, i := range a.slots {
		if here[i] {
			out[slot] = len(p.Steps)
		}
	}
	return out
}

// keep has a target keep the frames of a mark for this machine. A set tells them: other marks that the target's maps
// lack are of backends that get no frames.
func (l *linker) keep(p *dsrPick, d frontend, e element) {
	if p.Kept == nil {
		name := strings.Replace(p.Name, "home", "kept", 1)
		if !p.Shared {
			name = d.farm.ownName("kept-" + d.Family.Suffix())
		}
		o := newSet(name, dsrSection, "dsr-kept").at(Netdev)
		p.Kept = obtain(&l.rules, o, func() *dsrMap { return &dsrMap{object: o, Pick: p} })
	}
	p.Kept.elements.add(e)
}

// KeptRule is the rule that asks the set of marks of this machine; nil if the chain has none.
func (p *dsrPick) KeptRule() *dsrRule {
	if p.Kept == nil {
		return nil
	}
	return &dsrRule{p, dsrStep{Map: p.Kept}}
}
