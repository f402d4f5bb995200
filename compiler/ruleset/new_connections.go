package ruleset

import (
	"slices"
	"strconv"
	"strings"

	"farmc/compiler/farm"
)

// In modes dsr and stateless no connection tracking tells which packet opens a connection. A set beside the maps of a
// chain counts the TCP packets with SYN and without ACK, by the slot or the ID of the backend. The rule that asks the
// set stands before the pick, and ends at the flags of all other packets. The maps of the pick count nothing: a counter
// in their elements costs every packet more than the comparison of the flags. Farms without TCP have no such set.

// countsNew reports whether packets to the frontend can open TCP connections. Later fragments and ICMP errors cannot.
func (d frontend) countsNew() bool {
	return !d.quoted && !d.fragment && (d.Protocol == farm.TCP || d.Whole())
}

// countsNew reports whether a frontend of the farm counts new connections.
func (s *service) countsNew(family frontend) bool {
	return slices.ContainsFunc(s.frontends, func(d frontend) bool {
		return d.Family == family.Family && d.countsNew()
	})
}

// newName is the name of the set that counts new connections beside maps of that name.
func newName(slots string) string {
	if own, ok := strings.CutSuffix(slots, "/slots"); ok {
		return own + "/new"
	}
	return "new-" + slots
}

// newElement is an element that counts for a backend. Its comment tells the reload when another backend gets the slot.
func (s *service) newElement(b farm.Backend, key string) element {
	return element{key: key, backend: b.Name, origin: s.backendOrigin(b)}
}

// New is the rule that asks the set of new connections; nil if the chain has none.
func (p *dsrPick) New() *dsrRule {
	if p.newSet == nil {
		return nil
	}
	return &dsrRule{p, dsrStep{Map: p.newSet}}
}

// dsrNewSet gives the set of new connections of a chain.
func (l *linker) dsrNewSet(p *dsrPick, name string, slots int) *dsrMap {
	if p.newSet == nil {
		o := newSet(name, dsrSection, "dsr-new").at(Netdev)
		p.newSet = obtain(&l.rules, o, func() *dsrMap { return &dsrMap{object: o, Pick: p, Number: slots} })
	}
	return p.newSet
}

// countOwnDSR counts the connections to the frontend in the set of a chain that is the farm's own or a maglev table's.
func (l *linker) countOwnDSR(p *dsrPick, d frontend, slots string) {
	if p.newSet != nil || !d.countsNew() {
		return
	}
	a := l.assignment(d)
	set := l.dsrNewSet(p, newName(slots)+"-"+d.Family.Suffix(), len(a.slots))
	set.elements.add(d.farm.newSlots(a, "")...)
}

// newSlots are the elements that count for the slots of an assignment; before stands before the slots in the keys.
func (s *service) newSlots(a *slotAssignment, before string) []element {
	out := make([]element, len(a.slots))
	for slot, i := range a.slots {
		out[slot] = s.newElement(a.serving[i], before+strconv.Itoa(slot))
	}
	return out
}

// New is the rule that asks the set of new connections; nil if the chain has none.
func (p *statelessPick) New() *statelessRule {
	if p.newSet == nil {
		return nil
	}
	return &statelessRule{p, statelessStep{Map: p.newSet}}
}

// countStateless counts the connections to the frontend; before stands before the slots in the keys.
func (l *linker) countStateless(p *statelessPick, d frontend, slots, before string) {
	if !d.countsNew() || p.HasSlowPath || p.newSet != nil && !p.Shared {
		return
	}
	a := l.assignment(d)
	if p.newSet == nil {
		o := newSet(slots, statelessSection, "stateless-new").at(d.farm.table())
		p.newSet = obtain(&l.rules, o, func() *slotMap {
			return &slotMap{object: o, numbering: p.numbering, Number: len(a.slots), Prefix: noPrefix}
		})
		if p.Shared {
			p.newSet.Keys = p.Destination()
		}
	}
	if p.Shared || p.newSet.elements.size() == 0 { // else the chain of another port has the set, too
		p.newSet.elements.add(d.farm.newSlots(a, before)...)
	}
}

// New is the rule that asks the set of new connections; nil if the chain has none.
func (t *statelessTarget) New() *targetRule {
	if t.newSet == nil {
		return nil
	}
	return &targetRule{targetStep{statelessStep: statelessStep{Map: t.newSet}}, t.Family, t.Prefix, t.Origin}
}

// countTarget counts connections to the frontend under the key of a target. A farm's own target has one key for all
// frontends.
func (l *linker) countTarget(t *statelessTarget, d frontend, b farm.Backend, key string) {
	if counts := t.Prefix == noPrefix && d.farm.countsNew(d) || d.countsNew(); !counts {
		return
	}
	if t.newSet == nil {
		name := "new-" + t.Name
		if t.Prefix == noPrefix {
			name = d.farm.ownName("new-" + t.Family.Suffix())
		}
		o := newSet(name, statelessSection, "target-new").at(d.farm.table())
		t.newSet = obtain(&l.rules, o, func() *slotMap {
			return &slotMap{object: o, numbering: numbering{Family: t.Family}, Prefix: t.Prefix}
		})
	}
	t.newSet.elements.addOnce(d.farm.newElement(b, key))
}
