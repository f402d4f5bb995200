package ruleset

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// Farms with zones can have the same frontend on interfaces of their own. Their maps are apart: rules compare the
// interface before they look up a packet, and the zone before they look up the connection that a packet belongs to.
// Connection tracking has equal clients of two zones apart by the zone of their requests. Replies are in no zone,
// because all of them can come in by the same interface: they are apart by the ports that the kernel gives to equal
// clients.

// A zone is a zone of connection tracking.
type zone struct {
	Number     int
	Interfaces []string // of all farms of the zone, by name
}

// Quoted writes the interfaces as nft compares them.
func (z *zone) Quoted() string { return quotedList(z.Interfaces) }

// setZones finds the zones of farms, and adds the chain that sets them.
func (l *linker) setZones(all []frontend) {
	for _, d := range all {
		if number := d.farm.Zone; number != 0 {
			if l.zones == nil {
				l.zones = map[int]*zone{}
			}
			if l.zones[number] == nil {
				l.zones[number] = &zone{Number: number}
			}
			l.zones[number].add(d.farm.Interfaces)
		}
	}
	if len(l.zones) > 0 {
		zones := slices.Collect(maps.Values(l.zones))
		slices.SortFunc(zones, func(a, b *zone) int { return cmp.Compare(a.Number, b.Number) })
		l.rules.add(newChain("zones", dispatchSection, "zones").with(zones))
	}
}

func (z *zone) add(interfaces []string) {
	z.Interfaces = append(z.Interfaces, interfaces...)
	slices.Sort(z.Interfaces)
	z.Interfaces = slices.Compact(z.Interfaces)
}

// zone gives the zone of a number; nil for 0.
func (l *linker) zone(number int) *zone { return l.zones[number] }

// isOfZone reports whether the frontends of the map have a zone.
func (m *dispatchMap) isOfZone(number int) bool {
	if m.Zone == nil {
		return number == 0
	}
	return m.Zone.Number == number
}

// zonePart is the zone in names of maps.
func zonePart(number int) string {
	if number == 0 {
		return ""
	}
	return fmt.Sprintf("zone-%d/", number)
}
