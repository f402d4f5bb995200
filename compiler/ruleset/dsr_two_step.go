package ruleset

import (
	"strings"

	"farmc/compiler/farm"
)

// dsrTwoStep gives the chain of the frames of a farm with persistence, and adds the frontend to its maps. No connection
// tells whether a client is known, so each packet is looked up, and renews the client's time. The ID of a backend is a
// packet mark.
func (l *linker) dsrTwoStep(d frontend, a *slotAssignment) string {
	s := d.farm
	name := s.ownName(d.Family.Suffix())
	prefix := l.dsrKeyPrefix(d, len(a.eligible))
	target := l.dsrTarget(prefix, d, a)
	t := obtain(&l.rules, dsrChain(name, "two-step"), func() *twoStep {
		t := &twoStep{Family: d.Family, Target: target.Name, Marked: true, Here: l.isBackend(d),
			Origin: s.Origin("scheduler")}
		t.Sticky = l.sticky(d, a, target.Name)
		l.pickID(t, d.withPrefix(prefix), prefix != noPrefix)
		return t
	})
	if prefix == datagramPrefix {
		d = d.withPrefix(prefix)
	}
	if prefix == noPrefix || !l.isNew(d) {
		return name
	}
	l.addTargets(target, d, a)
	l.countTargets(target, d, a)
	if t.Pick != "" {
		l.addToPick(d, a)
	}
	return name
}

// withPrefix gives the frontend as it stands in keys with the prefix.
func (d frontend) withPrefix(p keyPrefix) frontend {
	switch p {
	case frontendPrefix:
		d.Specificity = farm.ExactPort
	case addressPrefix:
		d.Specificity = farm.WholeAddress
	case datagramPrefix:
		return d.ofFragments()
	}
	return d
}

// ofFragments gives the frontend of the later fragments: with protocol and address, and without ports.
func (d frontend) ofFragments() frontend {
	out := frontend{farm: d.farm, fragment: true}
	out.Family, out.Address, out.Protocol = d.Family, d.Address, d.Protocol
	out.Farm, out.Listen = d.Farm, d.Listen
	return out
}

// dsrKeyPrefix is the fields before a mark in the keys of the farm's target map. Later fragments have no ports. So
// ports are part of a key only if another farm has frontends of the same protocol and address, and the farm gets no
// later fragment at all. A farm with frontends of both kinds has maps of its own.
func (l *linker) dsrKeyPrefix(d frontend, backends int) keyPrefix {
	s, alone, frontends := d.farm, true, 0
	for _, o := range s.frontends {
		if o.Family == d.Family {
			alone = alone && o.Specificity <= farm.PortRange && l.datagrams[o.datagram()] == s
			frontends++
		}
	}
	switch {
	case alone && frontends*backends <= maxSharedSlots:
		return datagramPrefix
	case l.fragmented[farmFamily{s, d.Family}]:
		return noPrefix
	}
	return s.keyPrefix(d.Family, backends)
}

// dsrTarget gives the chain that forwards frames by their marks. Farms with backends of the same steps share it.
func (l *linker) dsrTarget(prefix keyPrefix, d frontend, a *slotAssignment) *dsrPick {
	if prefix == noPrefix {
		return l.ownDSRTarget(d, a)
	}
	steps := d.farm.dsrSteps(l.elsewhere(d, a.eligible))
	kind := map[keyPrefix]string{frontendPrefix: "", addressPrefix: "-all", datagramPrefix: "-datagram"}[prefix]
	name := "-dsr" + kind + l.hereName(d) + "-" + d.Family.Suffix() + "/" + stepNames(steps)
	return obtain(&l.rules, dsrChain("home"+name, "dsr-pick"), func() *dsrPick {
		p := &dsrPick{Name: "home" + name, Target: true, Shared: true, Here: l.isBackend(d), Of: d.withPrefix(prefix),
			Steps: steps}
		p.Family = d.Family
		l.addStepMaps(p, "homes"+name, 0)
		return p
	})
}

// ownDSRTarget gives the chain of a farm that shares none.
func (l *linker) ownDSRTarget(d frontend, a *slotAssignment) *dsrPick {
	s := d.farm
	name := s.ownName("home-" + d.Family.Suffix())
	return obtain(&l.rules, dsrChain(name, "dsr-pick"), func() *dsrPick {
		p := &dsrPick{Name: name, Target: true, Here: l.isBackend(d), Of: d,
			Steps: s.dsrSteps(l.elsewhere(d, a.eligible)), Origin: s.Origin("scheduler")}
		p.Family = d.Family
		for i, step := range p.Steps {
			p.Steps[i].Map = l.dsrMap(p, s.ownName("home/"+step.String()+"-"+d.Family.Suffix()), step, 0)
		}
		l.addTargets(p, d, a)
		l.countTargets(p, d, a)
		return p
	})
}

// addTargets has the frontend's frames forwarded by their marks, or kept for this machine.
func (l *linker) addTargets(p *dsrPick, d frontend, a *slotAssignment) {
	begin := ""
	if p.Shared {
		begin = d.key() + " . "
	}
	for _, b := range a.eligible {
		key := begin + d.farm.idText(a.ids[b.Name])
		if l.isThisMachine(d, b) {
			l.keep(p, d, d.farm.backendElement(b, key, ""))
		} else {
			p.add(d, b, key)
		}
	}
}

// countTargets has connections to the frontend counted by their marks. A farm's own target, and one with datagrams in
// its keys, has the same keys for several frontends.
func (l *linker) countTargets(p *dsrPick, d frontend, a *slotAssignment) {
	if !d.farm.countsNew(d) || p.Shared && d.Protocol == farm.UDP {
		return
	}
	name, begin := newName(strings.Replace(p.Name, "home", "homes", 1)), d.key()+" . "
	if !p.Shared {
		name, begin = d.farm.ownName("new-"+d.Family.Suffix()), ""
	}
	set := l.dsrNewSet(p, name, 0)
	for _, b := range a.eligible {
		set.elements.add(d.farm.newElement(b, begin+d.farm.idText(a.ids[b.Name])))
	}
}
