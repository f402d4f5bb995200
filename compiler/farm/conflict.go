package farm

import (
	"slices"

	"farmc/compiler/diag"
)

// Conflicts reports farms that share an address, port and protocol of one specificity, where none of the frontends is
// more specific than the other. The frontends of all farms come in the order of Compare.
func Conflicts(all []Frontend, faults *diag.Diagnostics) {
	type pair struct{ a, b *Listen }
	told := map[pair]bool{}
	for _, some := range byZone(all) {
		var widest Frontend // of the frontends so far, the one with the highest last port
		for i, d := range some {
			if i > 0 && widest.overlaps(d) && widest.Farm != d.Farm && !told[pair{widest.Listen, d.Listen}] {
				told[pair{widest.Listen, d.Listen}] = true
				*faults = append(*faults, conflict(widest, d))
			}
			if i == 0 || !widest.overlaps(d) || d.Ports.Last > widest.Ports.Last {
				widest = d
			}
		}
	}
}

func conflict(a, b Frontend) diag.Diagnostic {
	if a.Farm.Name > b.Farm.Name {
		a, b = b, a
	}
	return diag.Diagnostic{
		Farm:    b.Farm.Name,
		Place:   b.Listen.Place,
		Message: common(a, b).String() + " is already used by farm " + a.Farm.Name,
		Hint:    conflictHint(a, b),
		Also:    []diag.Note{{Place: a.Listen.Place, Message: "farm " + a.Farm.Name + " listens here"}},
	}
}

// conflictHint tells of zones where the farms are apart but for their connections.
func conflictHint(a, b Frontend) string {
	const hint = "two farms cannot listen on the same address, port and protocol"
	apart := len(a.Farm.Interfaces) > 0 && len(b.Farm.Interfaces) > 0 &&
		!slices.ContainsFunc(a.Farm.Interfaces, func(d string) bool { return slices.Contains(b.Farm.Interfaces, d) })
	if apart && a.Farm.Tracked() && b.Farm.Tracked() {
		return hint + "; on interfaces of their own they can, with a zone each: zone = 1 and zone = 2"
	}
	return hint
}

// common gives the packets that two frontends have in common, as a farm writes them in listen.
func common(a, b Frontend) Listen {
	l := Listen{Address: a.Address, Bits: a.Specificity.Bits(), Families: a.Listen.Families,
		Protocols: []Protocol{AnyProtocol}}
	if len(b.Listen.Families) < len(l.Families) {
		l.Families = b.Listen.Families
	}
	if !a.Whole() {
		l.Protocols = []Protocol{a.Protocol}
	}
	if !a.Portless() {
		l.Ports = []Ports{{max(a.Ports.First, b.Ports.First), min(a.Ports.Last, b.Ports.Last)}}
	}
	return l
}
