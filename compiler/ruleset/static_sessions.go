package ruleset

import (
	"net/netip"
	"slices"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// A staticSessions is a map from clients with fixed backends to backend IDs.
type staticSessions struct {
	*object
	Family   addr.Family
	On       []farm.HashKey
	Networks bool // the keys have networks
	Marked   bool
}

// Types are the types of the fields in the keys.
func (m *staticSessions) Types() string { return fieldTypes(m.On, m.Family) }

// IDType is the type of a backend ID.
func (m *staticSessions) IDType() string {
	return (&stickyTable{Family: m.Family, Marked: m.Marked}).IDType()
}

// staticSessions gives the maps of the farm's static sessions with eligible backends: single clients, which are looked
// up first, and networks. While a backend is not eligible, its clients are scheduled like other clients.
func (l *linker) staticSessions(d frontend, a *slotAssignment) (out []*staticSessions) {
	s := d.farm
	of := func(session farm.Session, key string) element {
		return element{key: key, value: s.idText(a.ids[session.Backend]), origin: s.sessionOrigin(session)}
	}
	var networks []farm.Session
	var single, ranges []element
	for _, session := range s.Persistence.Static {
		switch {
		case !slices.Contains(session.Families, d.Family) || !a.isEligible(session.Backend):
		case session.Network:
			networks = append(networks, session)
		default:
			single = append(single, of(session, strings.Join(session.Client, " . ")))
		}
	}
	for _, r := range disjoint(networks) {
		ranges = append(ranges, of(r.session, r.key()))
	}
	if len(single) > 0 {
		out = append(out, l.sessionMap(d, "static-", single))
	}
	if len(ranges) > 0 {
		out = append(out, l.sessionMap(d, "static-networks-", ranges))
	}
	return out
}

func (l *linker) sessionMap(d frontend, name string, elements []element) *staticSessions {
	s := d.farm
	o := newMap(s.ownName(name+d.Family.Suffix()), s.section(), "static-sessions").at(s.table())
	return obtain(&l.rules, o, func() *staticSessions {
		o.elements.add(elements...)
		m := &staticSessions{object: o, Family: d.Family, On: s.Persistence.On, Marked: s.usesPacketMark()}
		m.Networks = name == "static-networks-"
		return m
	})
}

func (s *service) sessionOrigin(of farm.Session) *diag.Origin {
	return &diag.Origin{Farm: s.Name, Key: "persistence.static", Place: of.Place}
}

// A sessionRange is a range of addresses with one static session.
type sessionRange struct {
	addr.Network
	session farm.Session
}

func (r sessionRange) key() string {
	return strings.Join(append([]string{r.First.String() + "-" + r.Last.String()}, r.session.Client[1:]...), " . ")
}

// disjoint makes ranges of networks that have no address in common: where two networks overlap, the smaller one counts.
func disjoint(sessions []farm.Session) []sessionRange {
	sorted := slices.Clone(sessions)
	size := func(s farm.Session) int { return netip.MustParsePrefix(s.Client[0]).Bits() }
	slices.SortStableFunc(sorted, func(a, b farm.Session) int { return size(a) - size(b) })
	var out []sessionRange
	for _, s := range sorted {
		p := netip.MustParsePrefix(s.Client[0])
		inner := sessionRange{addr.Network{First: p.Addr(), Last: addr.Last(p)}, s}
		i := slices.IndexFunc(out, func(outer sessionRange) bool { return outer.holds(inner) })
		if i < 0 {
			out = append(out, inner)
			continue
		}
		out = slices.Replace(out, i, i+1, out[i].around(inner)...)
	}
	return out
}

// around gives the inner range, and the parts of the outer one before and after it.
func (r sessionRange) around(inner sessionRange) []sessionRange {
	parts := []sessionRange{inner}
	if r.First != inner.First {
		parts = append([]sessionRange{{addr.Network{First: r.First, Last: inner.First.Prev()}, r.session}}, parts...)
	}
	if r.Last != inner.Last {
		parts = append(parts, sessionRange{addr.Network{First: inner.Last.Next(), Last: r.Last}, r.session})
	}
	return parts
}

// holds reports whether all of the other range is in this one, and both have the same other fields.
func (r sessionRange) holds(o sessionRange) bool {
	return slices.Equal(r.session.Client[1:], o.session.Client[1:]) && r.First.BitLen() == o.First.BitLen() &&
		r.First.Compare(o.First) <= 0 && o.Last.Compare(r.Last) <= 0
}
