package ruleset

import (
	"strconv"

	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// A natPick is a chain that translates the destination of a new connection to a backend: one that many farms share, a
// farm's own, or that of a maglev table.
type natPick struct {
	Name      string
	Only      []string  // the interfaces that the farm's packets come in by; none: all
	Mark      farm.Mark // of the farm
	Timeouts  timeoutList
	Next      string // the chain that picks, after this one has set the mark; "": this one picks
	Maps      []*slotMap
	Protocols protocolList // of its packets
	Forged    bool         // connections from addresses of this machine are dropped
	Origin    *diag.Origin // of a farm's own
}

// Rules are the rules that ask the maps.
func (c *natPick) Rules() (out []portRule) {
	for _, m := range c.Maps {
		out = append(out, m.portRules(c.Protocols)...)
	}
	return out
}

const noBackend = "no-backend"

// natPick gives the chain that picks a backend for the frontend's connections, and adds the frontend to its maps.
func (l *linker) natPick(d frontend) string {
	a := l.assignment(d)
	if len(a.serving) == 0 {
		l.refuse()
		if len(d.farm.Interfaces) == 0 && len(a.eligible) == 0 {
			return noBackend
		}
	}
	switch {
	case d.farm.twoStep(d.Family) && len(a.eligible) > 0:
		return l.natTwoStep(d, a)
	case d.sharesPick() && len(a.slots) <= maxSharedSlots:
		return l.sharedNATPick(d, a)
	}
	return l.ownNATPick(d, a)
}

// refuse adds the chain that refuses connections that no backend serves.
func (l *linker) refuse() {
	l.rules.add(newChain(noBackend, natPickSection, noBackend))
}

// sharesKeys reports whether the frontend can stand in the key of a map that many farms share. A range cannot.
// Networks, single protocols and every address are rare enough not to have a kind of map of their own.
func (d frontend) sharesKeys() bool {
	return d.Specificity == farm.ExactPort || d.Specificity == farm.WholeAddress
}

// sharesPick reports whether the frontend can share the chain that picks its backend.
func (d frontend) sharesPick() bool {
	if !d.sharesKeys() || len(d.farm.Interfaces) > 0 {
		return false
	}
	return d.farm.sharesNumber(d.Family)
}

// sharedNATPick adds the frontend's slots to the map of its kind of farm.
func (l *linker) sharedNATPick(d frontend, a *slotAssignment) string {
	kind, slots, prefix := "dnat", "slots", frontendPrefix
	if d.Specificity == farm.WholeAddress {
		kind, slots, prefix = "dnat-all", "slots-all", addressPrefix
	}
	name := d.sharedName(kind, a) + l.timeoutsOf(d.farm).part
	c, exists := chainData[*natPick](&l.rules, name)
	if !exists {
		m := l.slotMap(d, d.sharedName(slots, a), len(a.slots))
		m.Prefix, m.Ported, m.Counts = prefix, prefix == frontendPrefix, true
		c = &natPick{Name: name, Maps: []*slotMap{m}, Forged: d.takesForged()}
		l.rules.add(natPickChain(name).with(c))
	}
	if prefix == frontendPrefix {
		c.Protocols.add(d.Protocol)
	}
	l.addTimeouts(&c.Timeouts, d)
	l.addSlots(d.farm, len(a.slots))
	m := &c.Maps[0].elements
	m.pieces = append(m.pieces, d.piece(slotPiece, func() []element { return d.slotElements(a) }))
	return l.markFirst(d, c)
}

func natPickChain(name string) *object {
	return newChain(name, natPickSection, "nat-pick")
}

// slotElements are the frontend's slots in a map that farms share.
func (d frontend) slotElements(a *slotAssignment) []element {
	key := d.key()
	out := make([]element, len(a.slots))
	for slot, i := range a.slots {
		b := &a.serving[i]
		value := b.Address[d.Family].String()
		if d.Specificity == farm.ExactPort {
			value += " . " + strconv.Itoa(int(b.PortFor(d.Ports.First)))
		}
		out[slot] = d.farm.backendElement(*b, key+" . "+strconv.Itoa(slot), value)
	}
	return out
}

// ownNATPick gives the chain with a number of its own: the farm's of the family, or that of a maglev table.
func (l *linker) ownNATPick(d frontend, a *slotAssignment) string {
	s := d.farm
	name, slots := d.pickNames(a, "")
	if s.Scheduler == farm.Maglev && len(a.slots) > 0 { // farms with the same backends share it
		part := l.timeoutsOf(s).part
		name, slots = name+part, slots+part
	}
	o := natPickChain(name)
	c := obtain(&l.rules, o, func() *natPick {
		c := &natPick{Name: name, Only: l.only(s.Interfaces), Forged: d.takesForged(), Origin: s.Origin("scheduler")}
		c.Maps = l.ownSlots(d, a, slots)
		if s.Scheduler != farm.Maglev {
			c.Mark = s.Mark
		}
		l.addSlots(s, len(a.slots))
		return c
	})
	c.Protocols.add(d.Protocol)
	if len(a.slots) > 0 {
		l.addTimeouts(&c.Timeouts, d)
	}
	return l.markFirst(d, c)
}

// markFirst gives the chain that sets the farm's mark before a pick that it shares with farms of other marks.
func (l *linker) markFirst(d frontend, next *natPick) string {
	mark := d.farm.Mark
	if mark == next.Mark {
		return next.Name
	}
	c := &natPick{Name: markName(mark) + "/" + next.Name, Mark: mark, Only: l.only(d.farm.Interfaces), Next: next.Name}
	l.rules.add(natPickChain(c.Name).with(c))
	return c.Name
}

// ownSlots gives the maps of a farm's own slots. A value either keeps the port that the client asked for or names one.
// Of a farm with backends of both kinds, the first map is asked with the numbers of all slots, and holds the slots that
// keep the port. A packet with another slot goes on to the second map: with a hash by the same number, else by a number
// among the other slots.
func (l *linker) ownSlots(d frontend, a *slotAssignment, name string) []*slotMap {
	var keeping, naming []element
	for slot, i := range a.slots {
		b := a.serving[i]
		e := d.farm.backendElement(b, strconv.Itoa(slot), b.Address[d.Family].String())
		if b.Port == 0 {
			keeping = append(keeping, e)
			continue
		}
		if !d.farm.Scheduler.Deterministic() {
			e.key = strconv.Itoa(len(naming))
		}
		e.value += " . " + strconv.Itoa(int(b.Port))
		naming = append(naming, e)
	}
	namingSlots := len(naming)
	if d.farm.Scheduler.Deterministic() {
		namingSlots = len(a.slots)
	}
	var out []*slotMap
	if len(keeping) > 0 {
		m := l.slotMap(d, name+"-"+d.Family.Suffix(), len(a.slots))
		out = append(out, m.fill(d, keeping))
	}
	if len(naming) > 0 {
		m := l.slotMap(d, name+"-port-"+d.Family.Suffix(), namingSlots)
		m.Ported = true
		out = append(out, m.fill(d, naming))
	}
	return out
}

// fill adds the elements of a farm's own slots.
func (m *slotMap) fill(d frontend, slots []element) *slotMap {
	m.Origin, m.Counts = d.farm.Origin("scheduler"), true
	m.elements.add(slots...)
	return m
}
