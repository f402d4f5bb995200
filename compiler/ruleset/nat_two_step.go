package ruleset

import (
	"strconv"

	"farmc/compiler/farm"
)

// natTwoStep gives the chain of a farm with picks in two steps, and adds the frontend to its maps.
func (l *linker) natTwoStep(d frontend, a *slotAssignment) string {
	s := d.farm
	name := s.ownName(d.Family.Suffix())
	target := l.natTarget(d, a)
	o := newChain(name, natPickSection, "two-step")
	t := obtain(&l.rules, o, func() *twoStep {
		t := &twoStep{Family: d.Family, Target: target.Name, Tracked: true, Origin: s.Origin("scheduler")}
		t.Only, t.Mark, t.Forged = l.only(s.Interfaces), s.Mark, d.takesForged()
		if s.limitsBackends(d.Family) {
			t.Limits = l.backendLimits(d, a, target)
		}
		if t.Sticky = l.sticky(d, a, t.entry()); l.translatesDirectly(d) {
			t.Direct, t.Sticky.Direct = target, target
		}
		l.pickID(t, d, s.keyPrefix(d.Family, len(a.eligible)) != noPrefix)
		return t
	})
	l.addTimeouts(&t.Timeouts, d)
	target.add(d, a)
	if t.Limits != nil {
		t.Limits.Next.add(d, a)
	}
	if t.Pick != "" {
		l.addToPick(d, a)
	}
	return name
}

// entry is the chain that the connections of a known client go to.
func (t *twoStep) entry() string {
	if t.Limits != nil {
		return t.Limits.Admit
	}
	return t.Target
}

// A natTarget is the chain that translates the destination from a backend ID to the backend: one that many farms share,
// or a farm's own. The ID of a backend that is not eligible matches nothing, and evaluation continues.
type natTarget struct {
	Name      string // "": there is no chain, as rules translate directly
	Prefix    keyPrefix
	Maps      []*slotMap
	Protocols protocolList // of its packets
}

// Rules are the rules that ask the maps.
func (t *natTarget) Rules() (out []portRule) {
	for _, m := range t.Maps {
		out = append(out, m.portRules(t.Protocols)...)
	}
	return out
}

// natTarget gives the target chain of the frontend's farm.
func (l *linker) natTarget(d frontend, a *slotAssignment) *natTarget {
	if l.translatesDirectly(d) {
		return l.directTarget(d, a)
	}
	prefix, suffix := d.farm.keyPrefix(d.Family, len(a.eligible)), d.Family.Suffix()
	name := map[keyPrefix]string{
		frontendPrefix: "home-" + suffix,
		addressPrefix:  "home-all-" + suffix,
		noPrefix:       d.farm.ownName("home-" + suffix),
	}[prefix]
	o := newChain(name, natTargetSection, "nat-target")
	return obtain(&l.rules, o, func() *natTarget {
		t := &natTarget{Name: name, Prefix: prefix}
		switch prefix {
		case frontendPrefix:
			t.Maps = []*slotMap{l.targetMap(d, "homes-"+suffix, prefix, true)}
		case addressPrefix:
			t.Maps = []*slotMap{l.targetMap(d, "homes-all-"+suffix, prefix, false)}
		default:
			t.Maps = l.ownTargets(d, a)
		}
		return t
	})
}

// targetMap gives a map from backend IDs to backends.
func (l *linker) targetMap(d frontend, name string, prefix keyPrefix, ported bool) *slotMap {
	o := newMap(name, natTargetSection, "nat-targets")
	return obtain(&l.rules, o, func() *slotMap {
		return &slotMap{object: o, numbering: numbering{Family: d.Family}, Prefix: prefix, Ported: ported}
	})
}

// ownTargets gives the maps of a farm's own target: of backends that keep the port, and of backends that name one.
func (l *linker) ownTargets(d frontend, a *slotAssignment) (out []*slotMap) {
	for _, ported := range []bool{false, true} {
		name := map[bool]string{false: "backends-", true: "backends-port-"}[ported]
		m := l.targetMap(d, d.farm.ownName(name+d.Family.Suffix()), noPrefix, ported)
		m.Origin = d.farm.Origin("scheduler")
		for _, b := range a.eligible {
			if (b.Port != 0) != ported || len(b.Ports) > 0 {
				continue
			}
			value := b.Address[d.Family].String()
			if ported {
				value += " . " + strconv.Itoa(int(b.Port))
			}
			m.elements.add(d.farm.backendElement(b, a.ids[b.Name].String(), value))
		}
		if m.elements.size() == 0 {
			l.rules.remove(m.object)
			continue
		}
		out = append(out, m)
	}
	return append(out, l.movedTargets(d, a)...)
}

// add adds the frontend's backends.
func (t *natTarget) add(d frontend, a *slotAssignment) {
	t.Protocols.add(d.Protocol)
	if t.Prefix != noPrefix {
		m := &t.Maps[0].elements
		m.pieces = append(m.pieces, d.piece(targetPiece, func() []element { return d.targetElements(a) }))
	}
}

// targetElements are the frontend's backends in a map that farms share.
func (d frontend) targetElements(a *slotAssignment) []element {
	key := d.key()
	out := make([]element, len(a.eligible))
	for i, b := range a.eligible {
		value := b.Address[d.Family].String()
		if d.Specificity == farm.ExactPort {
			value += " . " + strconv.Itoa(int(b.PortFor(d.Ports.First)))
		}
		out[i] = d.farm.backendElement(b, key+" . "+a.ids[b.Name].String(), value)
	}
	return out
}
