package ruleset

import (
	"strconv"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// With persistence or backend limits a pick takes two steps, in all modes alike: an ID for a backend is looked up for a
// known client, or picked; then it is remembered, counted or replaced; and finally a target chain maps it to the
// backend. The ID is put into the packet, as its destination or its mark, because no rule can look up the result of a
// lookup.

// A twoStep is the chain of a farm's packets of one family.
type twoStep struct {
	Family addr.Family
	Only   []string  // the interfaces that the farm's packets come in by; none: all
	Forged bool      // connections from addresses of this machine are dropped
	Mark   farm.Mark // of the farm

	Timeouts timeoutList

	Sticky *stickyLookup  // nil: without persistence
	Pick   string         // the chain that picks an ID; "": the slots hold IDs
	Slots  *slotMap       // nil: a chain picks, or no backend serves
	Limits *backendLimits // nil: the backends have no limits
	Target string         // the chain that maps an ID to its backend
	Direct *natTarget     // the rule in place of that chain; nil: there is the chain

	Marked  bool // the ID is in the packet mark
	Here    bool // this machine is a backend in mode dsr
	Tracked bool // a packet that no backend serves is refused; else it is dropped
	Origin  *diag.Origin
}

// Serves reports whether a backend takes clients that are not known.
func (t *twoStep) Serves() bool { return t.Pick != "" || t.Slots != nil }

// twoStep reports whether the farm's picks take two steps.
func (s *service) twoStep(family addr.Family) bool {
	return s.traitsOf(family).twoStep
}

// keyPrefix is the fields before an ID in the keys of the farm's target map: fields that all of the farm's frontends
// have, if these are of one kind and not too many.
func (s *service) keyPrefix(family addr.Family, backends int) keyPrefix {
	if s.Zone != 0 { // a frontend is not its farm's alone
		return noPrefix
	}
	specificity, frontends := farm.Specificity(-1), 0
	for _, d := range s.frontends {
		if d.Family != family {
			continue
		}
		frontends++
		if frontends > 1 && d.Specificity != specificity || frontends*backends > maxSharedSlots {
			return noPrefix
		}
		specificity = d.Specificity
	}
	switch {
	case specificity == farm.ExactPort:
		return frontendPrefix
	case specificity == farm.WholeAddress:
		return addressPrefix
	}
	return noPrefix
}

// pickID fills in the part of the chain that picks an ID: the chain of the farm's kind if the farm shares one, else
// slots of the farm's own; neither if no backend serves.
func (l *linker) pickID(t *twoStep, d frontend, shares bool) {
	a := l.assignment(d)
	switch {
	case len(a.slots) == 0:
	case shares && d.farm.sharesNumber(d.Family) && len(a.slots) <= maxSharedSlots:
		t.Pick = l.idPick(d, a).Name
	default:
		l.addSlots(d.farm, len(a.slots))
		t.Slots = l.ownIDSlots(d, a)
	}
}

// An idPick is the chain that picks IDs for all farms of one kind.
type idPick struct {
	*object
	Slots *slotMap
}

// idPick gives the chain that picks IDs for the kind of the frontend's farm.
func (l *linker) idPick(d frontend, a *slotAssignment) *idPick {
	kind, prefix := "pick", frontendPrefix
	switch {
	case d.fragment:
		kind, prefix = "pick-datagram", datagramPrefix
	case d.Specificity == farm.WholeAddress:
		kind, prefix = "pick-all", addressPrefix
	}
	if d.farm.usesPacketMark() {
		kind += "-mark"
	}
	name := d.sharedName(kind, a)
	o := newChain(name, d.farm.section(), "pick-id").at(d.farm.table())
	return obtain(&l.rules, o, func() *idPick {
		slots := l.slotMap(d, "picks"+name[len("pick"):], len(a.slots))
		slots.Prefix, slots.Marked = prefix, d.farm.usesPacketMark()
		return &idPick{o, slots}
	})
}

// addToPick adds the frontend's slots to the map of the chain that picks IDs for the kind of its farm.
func (l *linker) addToPick(d frontend, a *slotAssignment) {
	l.addSlots(d.farm, len(a.slots))
	slots := l.idPick(d, a).Slots
	if d.fragment { // pieces are of the farm's own frontends
		slots.elements.add(d.idElements(a)...)
		return
	}
	slots.elements.pieces = append(slots.elements.pieces, d.piece(idPiece, func() []element { return d.idElements(a) }))
}

// idElements are the frontend's slots with the IDs that they stand for.
func (d frontend) idElements(a *slotAssignment) []element {
	key := d.key()
	out := make([]element, len(a.slots))
	for slot, i := range a.slots {
		b := a.serving[i]
		out[slot] = d.farm.backendElement(b, key+" . "+strconv.Itoa(slot), d.farm.idText(a.ids[b.Name]))
	}
	return out
}

// slotsName is the name of the map with the farm's own slots, which hold IDs.
func (s *service) slotsName(family addr.Family) string { return s.ownName("slots-" + family.Suffix()) }

// ownIDSlots gives slots of the farm's own.
func (l *linker) ownIDSlots(d frontend, a *slotAssignment) *slotMap {
	m := l.slotMap(d, d.farm.slotsName(d.Family), len(a.slots))
	m.Prefix, m.Marked, m.Origin = noPrefix, d.farm.usesPacketMark(), d.farm.Origin("scheduler")
	if m.elements.size() > 0 { // a chain of another address of the farm asks it, too
		return m
	}
	for slot, i := range a.slots {
		b := a.serving[i]
		m.elements.add(d.farm.backendElement(b, strconv.Itoa(slot), d.farm.idText(a.ids[b.Name])))
	}
	return m
}
