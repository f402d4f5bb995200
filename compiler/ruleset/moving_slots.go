package ruleset

import (
	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// The rules of a farm with scheduler least-connections pick at random, by slots in a map of the farm's own. A process
// that counts open connections moves slots from one backend to another in the kernel, about once a second. The script
// has the slots by weight, which the farm begins with, and has without that process. A pick takes two steps, because
// the elements of its last step count for the backends, and stay where they are.

// MovingSlots is the comment of a map with slots that move. A reload that changes such a map fills it anew, and a
// change of its elements by another program is not looked for.
const MovingSlots = "farmc watch moves these slots"

// movesSlots reports whether the farm's slots move.
func (s *service) movesSlots() bool { return s.Scheduler == farm.LeastConnections }

// Moving is the comment of a map with slots that move; "" for any other map.
func (m *slotMap) Moving() string {
	if m.Scheduler == farm.LeastConnections {
		return MovingSlots
	}
	return ""
}

// A SlotTable is a map of table inet farmc with slots that move.
type SlotTable struct {
	Map     string
	Serving []SlotOwner
	Slots   []int // the index of the backend that a slot begins with
}

// A SlotOwner is a backend with slots.
type SlotOwner struct {
	Backend string
	Weight  int    // in proportion to those of the others
	ID      string // the value of its slots, as the kernel stores it
}

// SlotTables gives the maps of a farm with scheduler least-connections, one for each family with two backends or more
// that serve; nil for any other farm.
func SlotTables(f *farm.Farm) (out []SlotTable) {
	if f.Down || f.Scheduler != farm.LeastConnections {
		return nil
	}
	s := newService(f)
	for _, family := range addr.Families {
		if !s.Listens(family) {
			continue
		}
		serving := s.Serving(family)
		if len(serving) < 2 {
			continue
		}
		a, weights := s.newAssignment(family), farm.ShareWeights(serving)
		t := SlotTable{Map: s.slotsName(family), Slots: a.slots}
		for i, b := range serving {
			t.Serving = append(t.Serving, SlotOwner{b.Name, weights[i], s.idBytes(a.ids[b.Name])})
		}
		out = append(out, t)
	}
	return out
}
