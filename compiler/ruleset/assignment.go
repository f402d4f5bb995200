package ruleset

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/slots"
)

// A slotAssignment assigns slots to a farm's backends of one family: a scheduler draws or computes the number of a
// slot.
type slotAssignment struct {
	serving  []farm.Backend        // the backends that slots are assigned to
	slots    []int                 // the index of a backend for each slot
	eligible []farm.Backend        // all backends that a connection can be sent to
	ids      map[string]netip.Addr // by the names of backends, where the pick takes two steps
	names    map[string]bool       // of the eligible backends, once isEligible was asked
}

// maxKeptSlots is the number of slots up to which a farm keeps its assignment for the next compile: a maglev table
// takes a hundred times the memory.
const maxKeptSlots = 1 << 6

// assign gives the assignment of the family.
func (s *service) assign(family addr.Family) *slotAssignment {
	if known := s.assignments[family]; known != nil {
		return known
	}
	a := s.newAssignment(family)
	if len(a.slots) <= maxKeptSlots {
		s.assignments[family] = a
	}
	return a
}

func (s *service) newAssignment(family addr.Family) *slotAssignment {
	a := &slotAssignment{serving: s.Serving(family), eligible: s.Eligible(family), ids: s.backendIDs(family)}
	if len(a.serving) == 0 {
		return a
	}
	weights := farm.ShareWeights(a.serving)
	keys := make([]string, len(a.serving))
	for i, b := range a.serving {
		keys[i] = b.Socket(family)
	}
	switch {
	case s.HasMaglevTable():
		a.slots = slots.Maglev(keys, weights, s.MaglevSize(family))
	case s.movesSlots():
		a.slots = slots.AssignFinely(weights)
	default:
		a.slots = slots.Assign(weights)
	}
	return a
}

// slotNumber is the number of slots of the farm's assignment, which is not made for that.
func (s *service) slotNumber(family addr.Family) int {
	known := s.slotNumbers[family]
	if known == 0 && !s.HasMaglevTable() {
		if serving := s.Serving(family); len(serving) > 0 {
			known = s.numberOf(farm.ShareWeights(serving))
		}
		s.slotNumbers[family] = known
	}
	return known
}

// numberOf is the number of slots for weights.
func (s *service) numberOf(weights []int) int {
	if s.movesSlots() {
		return slots.FineNumber(weights)
	}
	return slots.Number(weights)
}

// next gives the backend that serves after a backend, in the order of names; if no other backend serves, the same one.
func (a *slotAssignment) next(b farm.Backend) farm.Backend {
	if len(a.serving) == 0 {
		return b
	}
	i, _ := slices.BinarySearchFunc(a.serving, b.Name+"\x00", // greater than the name, and less than each longer one
		func(o farm.Backend, name string) int { return strings.Compare(o.Name, name) })
	return a.serving[i%len(a.serving)]
}

// isEligible reports whether a connection can be sent to the backend of that name.
func (a *slotAssignment) isEligible(backend string) bool {
	if a.names == nil {
		a.names = make(map[string]bool, len(a.eligible))
		for _, b := range a.eligible {
			a.names[b.Name] = true
		}
	}
	return a.names[backend]
}

// maglevName names a maglev table by its content, so that farms with the same backends share it.
func (a *slotAssignment) maglevName(s *service, family addr.Family) string {
	var content strings.Builder
	fmt.Fprintf(&content, "%q %q", s.HashOn, s.Interfaces)
	weights := farm.ShareWeights(a.serving)
	for i, b := range a.serving {
		fmt.Fprintf(&content, " %s %d %d %q %s", b.Address[family], b.Port, weights[i], b.Interface, b.MAC)
		if len(b.Ports) > 0 {
			fmt.Fprintf(&content, " %s", b.Ports)
		}
	}
	return fmt.Sprintf("maglev-%d-%016x", len(a.slots), slots.Hash64(content.String()))
}

// farmFamily is the key of caches: a farm's services of one family.
type farmFamily struct {
	farm   *service
	family addr.Family
}

// assignment gives the assignment of a frontend's farm. Large ones are kept for this compile alone. It is empty once
// there are too many slots: the compile has a fault, and the slots of thousands of farms would take minutes.
func (l *linker) assignment(d frontend) *slotAssignment {
	of := farmFamily{d.farm, d.Family}
	if l.slots > slots.Max {
		return &slotAssignment{}
	}
	if known := l.assignments[of]; known != nil {
		return known
	}
	if n := d.farm.slotNumber(d.Family); n > slots.Max {
		l.addSlots(d.farm, n)
		return &slotAssignment{}
	}
	a := d.farm.assign(d.Family)
	if d.farm.assignments[d.Family] == nil {
		l.assignments[of] = a
	}
	return a
}

// addSlots adds up slots, and reports the farm with which there are too many.
func (l *linker) addSlots(s *service, more int) {
	before := l.slots
	l.slots += more
	if before > slots.Max || l.slots <= slots.Max {
		return
	}
	hint := "weights with a common divisor need fewer"
	switch {
	case s.Scheduler == farm.Maglev:
		hint = "farms with the same backends share a table of maglev; table-size makes one smaller"
	case s.HasMaglevTable():
		hint = "farms with slow-start and scheduler maglev share a table if they have the same backends"
	}
	*l.faults = append(*l.faults, diag.Diagnostic{Farm: s.Name, Place: s.Origin("scheduler").Place,
		Message: fmt.Sprintf("with this farm all farms together have more than %d slots", slots.Max), Hint: hint})
}
