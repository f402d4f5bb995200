package ruleset

import (
	"slices"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// The rule that looks up a known client translates the packet by itself where it can, without a jump to a target chain.
// Each rule that asks a map has its price at the load, though: the kernel looks for the map by its name from the first
// set on, and Linux 6.1 walks through all elements of a map for each chain that asks it. So such a farm has a target
// map of its own, whose short keys are looked up faster, too. Where many farms have persistence, they share a target
// chain.

// maxDirect is the number of farms with persistence up to which each has a target map of its own. So many load in the
// same time as with a shared one; 1,024 would take 1.6 times as long, and 5,000 twice as long.
const maxDirect = 128

// hasFewPersistent reports whether the farms with persistence are few enough to have target maps of their own.
func hasFewPersistent(tracked []frontend) bool {
	persistent := map[*service]bool{}
	for i := range tracked {
		if s := tracked[i].farm; s.Persistence != nil {
			if persistent[s] = true; len(persistent) > maxDirect {
				return false
			}
		}
	}
	return true
}

// translatesDirectly reports whether rules of the farm's own chain translate the packets of the frontend's family.
func (l *linker) translatesDirectly(d frontend) bool {
	return l.fewPersistent && d.farm.oneTranslation(d.Family)
}

// oneTranslation reports whether one rule can translate all packets of the farm's clients: to backends that all keep
// the port, or all name one and are reached by one protocol. Connections to backends with limits are counted first.
func (s *service) oneTranslation(family addr.Family) bool {
	if s.Persistence == nil || s.limitsBackends(family) || s.MovesPorts() {
		return false
	}
	backends := s.WithFamily(family)
	ported := func(b farm.Backend) bool { return b.Port != 0 }
	if !slices.ContainsFunc(backends, ported) {
		return true
	}
	keep := slices.ContainsFunc(backends, func(b farm.Backend) bool { return b.Port == 0 })
	return !keep && len(s.protocols(family)) == 1
}

// protocols gives the protocols of the farm's frontends of a family.
func (s *service) protocols(family addr.Family) (out protocolList) {
	for _, d := range s.frontends {
		if d.Family == family {
			out.add(d.Protocol)
		}
	}
	return out
}

// directTarget gives the translation of a farm whose rules do it directly.
func (l *linker) directTarget(d frontend, a *slotAssignment) *natTarget {
	key := farmFamily{d.farm, d.Family}
	t := l.directTargets[key]
	if t == nil {
		t = &natTarget{Prefix: noPrefix, Maps: l.ownTargets(d, a)}
		l.directTargets[key] = t
	}
	return t
}

// Translation is the rule that translates the packets of known clients; nil if they go to a target chain.
func (k *stickyLookup) Translation() *portRule {
	if k.Direct == nil {
		return nil
	}
	return &k.Direct.Rules()[0]
}
