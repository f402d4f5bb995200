package ruleset

import (
	"fmt"
	"slices"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// marksHook sets the marks of backends, right after the backend is chosen.
var marksHook = baseChain{name: "marks", section: markSection, prefix: "mark-"}

// setMarks dispatches connections to the chain that sets the mark of their backend.
func (l *linker) setMarks(established []frontend) {
	local := false
	h := l.dispatch(marksHook, established, func(d frontend) verdict {
		if !d.farm.marksBackends(d.Family) {
			return noVerdict
		}
		local = local || d.farm.LocalClients || l.synproxied(d)
		return goTo(l.backendMarks(d))
	})
	if h == nil {
		return
	}
	l.staticChain("marks-prerouting", markSection)
	if local {
		l.staticChain("marks-output", markSection)
	}
}

// staticChain adds a chain with rules that are always the same; its template has its name.
func (l *linker) staticChain(name string, of section) {
	l.rules.add(newChain(name, of, name))
}

// marksBackends reports whether an eligible backend of the family has a mark.
func (s *service) marksBackends(family addr.Family) bool { return s.traitsOf(family).marksBackends }

func (s *service) findsMarks(family addr.Family) bool {
	for i := range s.Backends { // most farms have no marks
		if s.Backends[i].Mark != (farm.Mark{}) {
			return slices.ContainsFunc(s.Eligible(family), func(b farm.Backend) bool { return b.Mark != farm.Mark{} })
		}
	}
	return false
}

// backendMarks gives the farm's chain that looks up the mark of a connection's backend.
func (l *linker) backendMarks(d frontend) string {
	s := d.farm
	name := s.ownName("marked-" + d.Family.Suffix())
	o := newChain(name, markSection, "backend-marks")
	obtain(&l.rules, o, func() *backendMap {
		var elements []element
		for _, b := range s.Eligible(d.Family) {
			if b.Mark != (farm.Mark{}) {
				set := goTo(l.setMark(b.Mark))
				elements = append(elements, s.backendElement(b, b.Address[d.Family].String(), string(set)))
			}
		}
		return l.backendMap(d, "marks-", "marks-by-backend", markSection, elements)
	})
	return name
}

// setMark gives the chain that sets a mark, for all backends of all farms with that mark.
func (l *linker) setMark(m farm.Mark) string {
	l.rules.add(newChain(markName(m), markSection, "set-mark").with(m))
	return markName(m)
}

// markName is the mark as part of a chain's name.
func markName(m farm.Mark) string { return fmt.Sprintf("mark-%#x-%#x", m.Value, m.Mask) }
