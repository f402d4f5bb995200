package ruleset

import (
	"cmp"
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
	bits    int // of the network
	order   int // among the networks by their bits, then as the farm has them
}

func (r sessionRange) key() string {
	return strings.Join(append([]string{r.First.String() + "-" + r.Last.String()}, r.session.Client[1:]...), " . ")
}

// disjoint makes ranges of networks that have no address in common: where two networks overlap, the smaller one counts.
// The parts of a network stand in the order of their addresses, in the place of the network.
func disjoint(sessions []farm.Session) []sessionRange {
	networks := sessionRanges(sessions)
	slices.SortFunc(networks, compareAddresses)
	var groups [][]sessionRange
	for len(networks) > 0 {
		n := 1
		for n < len(networks) && networks[0].holds(networks[n]) {
			n++
		}
		parts, _ := split(networks[:n])
		parts[0].order = networks[0].order
		groups, networks = append(groups, parts), networks[n:]
	}
	slices.SortFunc(groups, func(a, b []sessionRange) int { return a[0].order - b[0].order })
	return slices.Concat(groups...)
}

func sessionRanges(sessions []farm.Session) []sessionRange {
	out := make([]sessionRange, len(sessions))
	for i, s := range sessions {
		p := netip.MustParsePrefix(s.Client[0])
		out[i] = sessionRange{Network: addr.Network{First: p.Addr(), Last: addr.Last(p)}, session: s, bits: p.Bits()}
	}
	slices.SortStableFunc(out, func(a, b sessionRange) int { return a.bits - b.bits })
	for i := range out {
		out[i].order = i
	}
	return out
}

// compareAddresses orders by the other fields, then by address, a network before the ones within it.
func compareAddresses(a, b sessionRange) int {
	return cmp.Or(slices.Compare(a.session.Client[1:], b.session.Client[1:]), a.First.Compare(b.First), a.bits-b.bits)
}

// split gives the parts of the first network, which holds the others, and how many of the networks it holds.
func split(networks []sessionRange) (parts []sessionRange, held int) {
	outer := networks[0]
	rest, at := outer, 1
	for at < len(networks) && outer.holds(networks[at]) {
		inner := networks[at]
		if rest.First != inner.First {
			rest.Last = inner.First.Prev()
			parts = append(parts, rest)
		}
		within, n := split(networks[at:])
		parts, at = append(parts, within...), at+n
		rest.First, rest.Last = inner.Last.Next(), outer.Last
		if inner.Last == outer.Last {
			return parts, at
		}
	}
	return append(parts, rest), at
}

// holds reports whether all of the other range is in this one, and both have the same other fields.
func (r sessionRange) holds(o sessionRange) bool {
	return slices.Equal(r.session.Client[1:], o.session.Client[1:]) && r.First.BitLen() == o.First.BitLen() &&
		r.First.Compare(o.First) <= 0 && o.Last.Compare(r.Last) <= 0
}
