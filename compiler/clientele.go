package compiler

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// A clientele is what a farm knows of its clients in one family: which backend each is with. An address stands for the
// backend: its own, if no other backend has that, too.
type clientele struct {
	Name    string // of the map from clients to backends, which packets fill
	Family  Family
	Of      *Persistence
	On      []HashKey     // what clients are learnt by
	Tracked bool          // connections tell what was asked for
	Marked  bool          // or packets do, as what stands for a backend is in their mark
	Asked   netip.Addr    // else, where packets are rewritten: what was
	Static  []*sessionMap // of clients whose backends are fixed, asked in this order
}

// A sessionMap leads from clients to what stands for backends.
type sessionMap struct {
	Name     string
	Networks bool
	Elements []mapElement
}

// clientele gives what the farm knows of its clients; nil without persistence.
func (f *Farm) clientele(family Family, stands map[string]netip.Addr) *clientele {
	if f.Persistence == nil {
		return nil
	}
	return &clientele{Name: ownName(f, "clients-"+family.Suffix()), Family: family, Of: f.Persistence, On: f.learntBy(), Tracked: f.Tracked(), Marked: f.marks(), Static: f.sessions(family, stands)}
}

// learntBy is what clients are told by when they are learnt. In mode stateless the address that was asked for is gone from
// the packet by then: there is a map for each.
func (f *Farm) learntBy() []HashKey {
	return slices.DeleteFunc(slices.Clone(f.Persistence.On), func(k HashKey) bool { return f.Mode == Stateless && k == DestinationAddress })
}

// sessions gives the fixed sessions of a family whose backends take connections: the others' clients are like any others
// meanwhile. A single client is asked for before networks.
func (f *Farm) sessions(family Family, stands map[string]netip.Addr) []*sessionMap {
	single := &sessionMap{Name: ownName(f, "static-"+family.Suffix())}
	networks := &sessionMap{Name: ownName(f, "static-networks-"+family.Suffix()), Networks: true}
	takes := f.takes(family)
	var within []Session
	for _, s := range f.Persistence.Static {
		switch {
		case !slices.Contains(s.Families, family) || !slices.ContainsFunc(takes, func(b Backend) bool { return b.Name == s.Backend }):
		case s.Network:
			within = append(within, s)
		default:
			single.Elements = append(single.Elements, mapElement{strings.Join(s.Client, " . "), f.stand(stands[s.Backend]), s.origin(f), false})
		}
	}
	for _, r := range disjoint(within) {
		networks.Elements = append(networks.Elements, mapElement{r.key(), f.stand(stands[r.session.Backend]), r.session.origin(f), false})
	}
	return slices.DeleteFunc([]*sessionMap{single, networks}, func(m *sessionMap) bool { return len(m.Elements) == 0 })
}

func (s Session) origin(f *Farm) *Origin { return &Origin{f.Name, "persistence.static", s.key} }

// A sessionRun is a run of addresses with one fixed session.
type sessionRun struct {
	network
	session Session
}

func (r sessionRun) key() string {
	return strings.Join(append([]string{r.first.String() + "-" + r.last.String()}, r.session.Client[1:]...), " . ")
}

// disjoint makes runs of networks that have nothing in common: of two networks the smaller one counts where they overlap.
func disjoint(sessions []Session) []sessionRun {
	sorted := slices.Clone(sessions)
	size := func(s Session) int { return netip.MustParsePrefix(s.Client[0]).Bits() }
	slices.SortStableFunc(sorted, func(a, b Session) int { return size(a) - size(b) })
	var out []sessionRun
	for _, s := range sorted {
		p := netip.MustParsePrefix(s.Client[0])
		inner := sessionRun{network{p.Addr(), lastOf(p)}, s}
		i := slices.IndexFunc(out, func(outer sessionRun) bool { return outer.holds(inner) })
		if i < 0 {
			out = append(out, inner)
			continue
		}
		outer := out[i]
		parts := []sessionRun{inner}
		if outer.first != inner.first {
			parts = append([]sessionRun{{network{outer.first, inner.first.Prev()}, outer.session}}, parts...)
		}
		if outer.last != inner.last {
			parts = append(parts, sessionRun{network{inner.last.Next(), outer.last}, outer.session})
		}
		out = slices.Replace(out, i, i+1, parts...)
	}
	return out
}

// holds says whether all of the other run is in this one, and both are of the same clients otherwise.
func (r sessionRun) holds(o sessionRun) bool {
	return slices.Equal(r.session.Client[1:], o.session.Client[1:]) && r.first.BitLen() == o.first.BitLen() &&
		r.first.Compare(o.first) <= 0 && o.last.Compare(r.last) <= 0
}

// widestLearnt is how many bytes a key may have in a rule that adds it to a map; nft 1.0.6 aborts beyond. Of a wider one
// the map holds a hash of 32 bits. Two clients that have the same one share a backend, which harms neither.
const widestLearnt = 16

// hashed says whether the map holds hashes of what clients are told by.
func (m *clientele) hashed() bool {
	sum := 0
	for _, k := range m.On {
		sum += 4 * hashFields[k].width
		if m.Family == IP4 && (k == SourceAddress || k == DestinationAddress) {
			sum -= 12
		}
	}
	return sum > widestLearnt || sum == 0
}

// key is what a client is learnt by, in nft's words.
func (m *clientele) key() string {
	length := m.Of.Prefix[m.Family]
	if !m.hashed() {
		return m.fields(m.On, length)
	}
	if len(m.On) == 0 {
		return "numgen inc mod 1" // all are one client
	}
	words := hashInput(m.On, m.Family)
	for i, word := range words {
		words[i] = m.field(word, length)
	}
	return fmt.Sprintf("jhash %s mod %d seed %s", strings.Join(words, " . "), uint32(1<<32-1), seed)
}

// fields are what a client is told by, in nft's words.
func (m *clientele) fields(on []HashKey, length int) string {
	words := make([]string, len(on))
	for i, k := range on {
		words[i] = m.field(hashFields[k].words[m.Family], length)
	}
	return strings.Join(words, " . ")
}

// field is a field as it tells a client: the source without what the prefix leaves out, and the destination that was asked
// for, which stands no more in the packet when the client is learnt.
func (m *clientele) field(word string, length int) string {
	switch {
	case word == hashFields[DestinationAddress].words[m.Family] && m.Tracked:
		return "ct original " + word
	case word == hashFields[SourceAddress].words[m.Family] && length < wholeAddress[m.Family]:
		return word + " & " + mask(m.Family, length).String()
	}
	return word
}

// mask is the address with so many leading bits.
func mask(family Family, length int) netip.Addr {
	all := []byte{IP4: 4, IP6: 16}[family]
	bits := make([]byte, all)
	for i := range length {
		bits[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(bits)
	return a
}

// keyTypes are the types of the fields that a client is told by.
func (m *clientele) keyTypes(on []HashKey) string {
	words := make([]string, len(on))
	for i, k := range on {
		switch k {
		case SourceAddress, DestinationAddress:
			words[i] = [...]string{IP4: "ipv4_addr", IP6: "ipv6_addr"}[m.Family]
		case SourcePort, DestinationPort:
			words[i] = "inet_service"
		default:
			words[i] = "ether_addr"
		}
	}
	return strings.Join(words, " . ")
}

// A clienteleView is a clientele in nft's words.
type clienteleView struct {
	*clientele
	view
	Timeout string
	Home    string
	Origin  *Origin
}

func newClienteleView(m *clientele, home string, origin *Origin) *clienteleView {
	return &clienteleView{m, view{m.Family}, nftTime(m.Of.Timeout), home, origin}
}

// Key is what a client is learnt by.
func (v *clienteleView) Key() string { return v.key() }

// Hashed says whether that is a hash.
func (v *clienteleView) Hashed() bool { return v.hashed() }

// Types are those of what a client is learnt by.
func (v *clienteleView) Types() string { return v.keyTypes(v.On) }

// Stand is where what stands for a backend is.
func (v *clienteleView) Stand() string { return v.stand(v.Marked) }

// StandType is the type of what stands for a backend.
func (v *clienteleView) StandType() string {
	if v.Marked {
		return "mark"
	}
	return "ipv" + v.IP() + "_addr"
}

// Whole is what a client is told by, nothing left out.
func (v *clienteleView) Whole() string { return v.fields(v.Of.On, wholeAddress[v.clientele.Family]) }

// Back is what a packet gets as its destination again that is not led to a backend.
func (v *clienteleView) Back() string {
	if v.Tracked {
		return "ct original " + v.Header() + " daddr"
	}
	return v.Asked.String()
}

// Sessions are the maps of fixed sessions.
func (v *clienteleView) Sessions() []sessionView {
	out := make([]sessionView, len(v.Static))
	for i, m := range v.Static {
		out[i] = sessionView{m, v}
	}
	return out
}

type sessionView struct {
	Map *sessionMap
	*clienteleView
}

// Types are those of what a client is told by.
func (s sessionView) Types() string { return s.keyTypes(s.Of.On) }

func (s sessionView) elements() []mapElement { return s.Map.Elements }

// Known are the ways to find a client's backend, fixed sessions first.
func (v *clienteleView) Known() []knownView {
	var out []knownView
	for _, m := range v.Static {
		out = append(out, knownView{v.Whole(), m.Name, false, v})
	}
	return append(out, knownView{v.Key(), v.clientele.Name, true, v})
}

// A knownView is one way to find a client's backend.
type knownView struct {
	Client string
	In     string
	Learnt bool
	*clienteleView
}
