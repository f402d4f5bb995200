package ruleset

import (
	"fmt"
	"net/netip"
	"slices"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/slots"
)

// Farms of a persistence group share the table of their clients. The IDs in it follow from the names of backends alone,
// so one name is one ID in all farms of the group.

// nameNumber is the last three bytes of the ID of a name.
func nameNumber(backend string) uint32 { return uint32(slots.Hash64(backend)) % (1 << 24) }

// nameIDs are the IDs of a farm in a group: of 0.0.0.0/8 and 100::/64, with the same last bytes.
func (s *service) nameIDs(family addr.Family) map[string]netip.Addr {
	out := map[string]netip.Addr{}
	for _, b := range s.WithFamily(family) {
		number := nameNumber(b.Name)
		out[b.Name] = netip.AddrFrom4([4]byte{0, byte(number >> 16), byte(number >> 8), byte(number)})
		if family == addr.IP6 {
			out[b.Name] = discardID(number)
		}
	}
	return out
}

// checkGroups reports farms of a group whose tables differ, and names of backends that have one ID.
func checkGroups(services []*service, faults *diag.Diagnostics) {
	groups := map[string]*persistenceGroup{}
	for _, s := range services {
		name := s.PersistenceGroup()
		if name == "" || s.Down {
			continue
		}
		if groups[name] == nil {
			groups[name] = &persistenceGroup{name: name, first: s, names: map[uint32]farm.Backend{}}
		}
		groups[name].check(s, faults)
	}
}

// A persistenceGroup is the farms of one group.
type persistenceGroup struct {
	name  string
	first *service
	names map[uint32]farm.Backend // by the numbers of their IDs
}

func (g *persistenceGroup) check(s *service, faults *diag.Diagnostics) {
	if key := differingKey(g.first.Persistence, s.Persistence); key != "" {
		*faults = append(*faults, diag.Diagnostic{Farm: s.Name, Place: s.Origin("persistence." + key).Place,
			Message: fmt.Sprintf("group %s: %s is not that of farm %s, and one table has the clients of both", g.name,
				key, g.first.Name),
			Hint: "one " + key + " in all farms of the group",
			Also: []diag.Note{{Place: g.first.Origin("persistence").Place, Message: "farm " + g.first.Name}}})
	}
	for _, b := range s.Backends {
		g.checkName(s, b, faults)
	}
}

func (g *persistenceGroup) checkName(s *service, b farm.Backend, faults *diag.Diagnostics) {
	other, taken := g.names[nameNumber(b.Name)]
	if taken && other.Name != b.Name {
		*faults = append(*faults, diag.Diagnostic{Farm: s.Name, Place: b.Place,
			Message: fmt.Sprintf("group %s: the names of the backends %s and %s have one hash, so their clients "+
				"cannot be told apart", g.name, other.Name, b.Name),
			Hint: "another name for one of them",
			Also: []diag.Note{{Place: other.Place, Message: "the other one"}}})
		return
	}
	g.names[nameNumber(b.Name)] = b
}

// differingKey gives the first key of a table of clients that two farms do not have in common; "" if there is none.
func differingKey(a, b *farm.Persistence) string {
	switch {
	case !slices.Equal(a.On, b.On):
		return "on"
	case a.Timeout != b.Timeout:
		return "timeout"
	case a.Prefix != b.Prefix:
		return "prefix"
	}
	return ""
}
