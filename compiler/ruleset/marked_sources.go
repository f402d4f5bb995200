package ruleset

import (
	"fmt"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// Connections that programs of this machine open with a mark leave from an address that a farm in mode local names.
// The chain for connections that no farm has translated asks the maps, one of each family.

// markedFarms gives the farms with sources that are served, by name. A farm without a frontend is among them: a proxy
// that listens on loopback addresses alone opens connections, too.
func markedFarms(services []*service) (out []*farm.Farm) {
	for _, s := range services {
		if len(s.MarkedSources) > 0 && !s.Down {
			out = append(out, s.Farm)
		}
	}
	return out
}

// markedSources adds the marks of the farms to the maps.
func (l *linker) markedSources(farms []*farm.Farm) {
	for _, f := range farms {
		for _, s := range f.MarkedSources {
			for _, a := range s.Address.All() {
				to, key := l.markedSourceMap(addr.FamilyOf(a)), fmt.Sprintf("%#x", s.Mark)
				to.elements.addOnce(element{key: key, value: a.String(), origin: f.Origin("sources")})
			}
		}
	}
}

func (l *linker) markedSourceMap(family addr.Family) *outgoingMap {
	rules := l.outgoingRules()
	m := newMap("marked-sources-"+family.Suffix(), sourceNATSection, "marked-sources")
	return obtain(&l.rules, m, func() *outgoingMap {
		rules.Marks = append(rules.Marks, &outgoingMap{m, family})
		return rules.Marks[len(rules.Marks)-1]
	})
}
