package ruleset

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
	"farmc/compiler/slots"
)

// Backends can get the connections to a port of the farm on another port. Where the frontend stands in the keys of
// maps, the values name the port that the backend has for it. Else the pick takes two steps, so that all ports have
// one choice, and the target asks a second map for the port.

// A movedPorts is the map from ports that clients ask for to ports of backends with the same moves.
type movedPorts struct {
	*object
	From string // the moved ports, as nft lists them
	Some bool   // the farm has other ports, too, which these backends keep
}

// movesInTwoSteps reports whether moved ports need a pick in two steps: where a frontend cannot stand in the keys of
// maps that farms share.
func (s *service) movesInTwoSteps(family addr.Family) bool {
	if !s.Tracked() || !s.MovesPorts() {
		return false
	}
	return s.slotNumber(family) > maxSharedSlots ||
		slices.ContainsFunc(s.frontends, func(d frontend) bool { return d.Family == family && !d.sharesPick() })
}

// movedTargets gives the maps of a farm's own target, of backends with moved ports: one for each table of moves.
func (l *linker) movedTargets(d frontend, a *slotAssignment) (out []*slotMap) {
	for _, b := range a.eligible {
		if len(b.Ports) == 0 {
			continue
		}
		m := l.targetMap(d, d.farm.ownName("backends-"+movesName(b.Ports)+"-"+d.Family.Suffix()), noPrefix, false)
		if m.Moved == nil {
			m.Moved, m.Origin = l.movedPorts(d, b), d.farm.Origin("scheduler")
			out = append(out, m)
		}
		m.elements.add(d.farm.backendElement(b, a.ids[b.Name].String(), b.Address[d.Family].String()))
	}
	return out
}

// movesName is moves as part of a name.
func movesName(moves farm.PortMap) string {
	return "ports-" + fmt.Sprintf("%08x", uint32(slots.Hash64(moves.String())))
}

// movedPorts gives the map of the backend's moves.
func (l *linker) movedPorts(d frontend, b farm.Backend) *movedPorts {
	o := newMap(d.farm.ownName(movesName(b.Ports)), natTargetSection, "moved-ports")
	return obtain(&l.rules, o, func() *movedPorts {
		from := make([]string, len(b.Ports))
		for i, move := range b.Ports {
			from[i] = move.From.String()
			for port := int(move.From.First); port <= int(move.From.Last); port++ {
				to := strconv.Itoa(int(b.PortFor(uint16(port))))
				o.elements.add(element{key: strconv.Itoa(port), value: to, origin: d.farm.Origin("ports")})
			}
		}
		l.addSlots(d.farm, o.elements.size())
		return &movedPorts{o, strings.Join(from, ", "), d.farm.keepsPorts(b)}
	})
}

// keepsPorts reports whether the backend gets the connections to some ports of the farm on the same ports.
func (s *service) keepsPorts(b farm.Backend) bool {
	return slices.ContainsFunc(s.frontends, func(d frontend) bool {
		moved := 0
		for _, move := range b.Moves(d.Ports) {
			if move.From != move.To || slices.ContainsFunc(b.Ports, func(own farm.PortMove) bool {
				return own.From.Holds(move.From.First)
			}) {
				moved += move.From.Count()
			}
		}
		return moved < d.Ports.Count()
	})
}

// portRun gives the map that moves a range of ports, for all farms that move it alike.
func (l *linker) portRun(d frontend, table TableFamily, from, to farm.Ports) string {
	o := newMap(fmt.Sprintf("ports/%s/%d", from, to.First), statelessSection, "moved-ports").at(table)
	obtain(&l.rules, o, func() *object {
		for i := range from.Count() {
			o.elements.add(element{key: strconv.Itoa(int(from.First) + i), value: strconv.Itoa(int(to.First) + i)})
		}
		l.addSlots(d.farm, from.Count())
		return o
	})
	return o.Name
}
