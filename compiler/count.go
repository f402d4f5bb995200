package compiler

import (
	"fmt"
	"slices"
)

// The connections of a backend are counted in sets of which each element has a limit of its own, for all farms together.
// The kernel adds whom it asks about to the count, and keeps it there while the connection lives, wherever it went in
// the end. So a connection that is to be sent on may not be asked about: a full backend is told by a set of those that
// are, and a connection that makes its backend full puts it there. What takes it out again are packets of any client,
// some times a second, that ask with a destination of which there is no connection: it counts for a moment alone.

// A count limits the connections of a farm's backends in a family.
type count struct {
	Key      string // of a backend, in the words of a rule, once it stands in the packet
	Enter    string // the chain that counts a connection, and sends it home; "": the farm's own does
	PassOver string // the chain that finds a backend that is not full
	Tries    int    // how many there are beside the first
	Ring     *ring
}

// A ring leads from a backend to the next one that serves, by what stands for them: as homes do for many farms at once, or
// a farm's own.
type ring struct {
	Name    string // of the chain that goes on to the next one
	AllFull string // and of the chain that refuses what comes from a backend of the ring
	Family  Family
	Keyed   keying
	Map     *slotMap
	Asked   bool // whether some farm has another one to go on to
	origin  *Origin
}

// A relief is a chain that finds backends that aren't full any more.
type relief struct {
	Name     string
	Family   Family
	Backends []countedBackend
	origin   *Origin
}

// A countedBackend is a backend with a limit.
type countedBackend struct {
	Key    uint32
	Limit  int // 0: it had one, perhaps, until the last load
	origin *Origin
}

// counts says whether the connections of some backend of the family are limited.
func (f *Farm) counts(family Family) bool {
	for i := range f.Backends {
		if b := &f.Backends[i]; b.Connections > 0 && b.State != Down && b.Address.Has(family) {
			return true
		}
	}
	return false
}

// newCount has the connections of the farm's backends counted.
func (l *linker) newCount(f *Farm, family Family, deal dealing, h *home) *count {
	l.rules.noBackend = true
	n := &count{PassOver: ownName(f, "pass-over-"+family.Suffix()), Tries: len(deal.backends) - 1,
		Key: fmt.Sprintf("%s ^ 0x%x", [...]string{IP4: "@nh,128,32", IP6: "@nh,288,32"}[family], l.cipher(f))}
	if f.Persistence != nil {
		n.Enter = ownName(f, "enter-"+family.Suffix())
		n.Tries++ // from one that doesn't serve itself
	}
	n.Ring = l.ring(f, family, h.Keyed)
	n.Ring.Asked = n.Ring.Asked || n.Tries > 0
	return n
}

func (l *linker) ring(f *Farm, family Family, keyed keying) *ring {
	r := &ring{Family: family, Keyed: keyed}
	name := func(part string) string {
		switch keyed {
		case byDoor:
			return part + "-" + family.Suffix()
		case byAddress:
			return part + "-all-" + family.Suffix()
		}
		return ownName(f, part+"-"+family.Suffix())
	}
	r.Name, r.AllFull, r.Map = name("next"), name("full"), &slotMap{Name: name("next")}
	if keyed == bySlot {
		r.origin = f.origin("scheduler")
	}
	i := slices.IndexFunc(l.rules.rings, func(o *ring) bool { return o.Name == r.Name })
	if i >= 0 {
		return l.rules.rings[i]
	}
	l.rules.rings = append(l.rules.rings, r)
	return r
}

// pass adds the door's backends to the ring.
func (n *count) pass(d door, deal dealing) {
	begin := ""
	if n.Ring.Keyed != bySlot {
		begin = d.key() + " . "
	} else if len(n.Ring.Map.Elements) > 0 {
		return
	}
	for _, b := range deal.takes {
		next, ok := deal.after(b)
		if !ok {
			continue
		}
		n.Ring.Map.Elements = append(n.Ring.Map.Elements,
			mapElement{begin + deal.stands[b.Name].String(), deal.stands[next.Name].String(), b.origin(d.farm), false})
	}
}

// after gives the backend that serves next after one. If none else does, it is the same.
func (d dealing) after(b Backend) (Backend, bool) {
	if len(d.backends) == 0 {
		return b, true
	}
	i := slices.IndexFunc(d.backends, func(o Backend) bool { return o.Name > b.Name })
	return d.backends[max(i, 0)], true
}

// cipher is what tells the farm's backends from those of others that have the same address.
func (l *linker) cipher(f *Farm) uint32 {
	if c, ok := l.ciphers[f]; ok {
		return c
	}
	var of []uint32
	for _, family := range Families {
		for _, at := range f.tokens(family) {
			of = append(of, lastBytes(at))
		}
	}
	c := uint32(hash64(f.Name))
	for slices.ContainsFunc(of, func(key uint32) bool { return l.taken[key^c] }) {
		c++
	}
	for _, key := range of {
		l.taken[key^c] = true
	}
	l.ciphers[f] = c
	l.countBackends(f, c)
	return c
}

// countBackends gives the farm's limited backends an element of the sets. Those that are drained keep it, as they may be
// up again with connections that are still open.
func (l *linker) countBackends(f *Farm, cipher uint32) {
	for _, b := range f.countedBackends(cipher) {
		if b.Limit > 0 {
			l.rules.counted = append(l.rules.counted, b)
		}
	}
}

func (f *Farm) countedBackends(cipher uint32) []countedBackend {
	var out []countedBackend
	for _, b := range f.Backends {
		family := IP4
		if !b.Address.Has(IP4) {
			family = IP6
		}
		if b.State != Down {
			out = append(out, countedBackend{lastBytes(f.tokens(family)[b.Name]) ^ cipher, b.Connections, b.origin(f)})
		}
	}
	return out
}

// relieve leads the packets of farms with limited backends to the chain that finds out which have room again.
func (l *linker) relieve(doors []door) {
	chain := func(d door) string {
		if !d.farm.counts(d.family) || len(l.deal(d.farm, d.family).takes) == 0 {
			return ""
		}
		return l.relief(d.farm, d.family)
	}
	l.leadSome(&l.rules.relieved, "relief-", doors, chain)
	l.leadSome(&l.rules.relievedLocal, "relief-local-", doors, func(d door) string {
		if !d.farm.LocalClients {
			return ""
		}
		return chain(d)
	})
}

func (l *linker) relief(f *Farm, family Family) string {
	r := &relief{Name: ownName(f, "relief-"+family.Suffix()), Family: family, origin: f.origin("scheduler")}
	if l.forwards[r.Name] {
		return r.Name
	}
	l.forwards[r.Name] = true
	r.Backends = f.countedBackends(l.cipher(f))
	l.rules.reliefs = append(l.rules.reliefs, r)
	return r.Name
}

// A countView is a count in nft's words.
type countView struct {
	*count
	view
	Home   string
	Origin *Origin
}

// Rounds are so many as there are other backends to try.
func (v *countView) Rounds() []*countView { return slices.Repeat([]*countView{v}, v.Tries) }

// A ringView is a ring in nft's words.
type ringView struct {
	*ring
	view
	Origin *Origin
}

func (v ringView) elements() []mapElement { return v.Map.Elements }

// Keyed is what stands before a backend in the keys, as a name.
func (v ringView) Keyed() string { return keyings[v.ring.Keyed] }

// A reliefView is a relief in nft's words.
type reliefView struct {
	*relief
	view
	Origin *Origin
}

// Nobody is what makes of the farm's address one that nobody asks for.
func (v reliefView) Nobody() string {
	return [...]string{IP4: "240.0.0.0", IP6: "ff00::"}[v.relief.Family]
}

// Origin is where the backend's limit is from.
func (b countedBackend) Origin() *Origin { return b.origin }

// A countedView are elements that limit connections, in nft's words.
type countedView struct {
	of    []countedBackend
	limit string
	less  int
}

func (v countedView) elements() []mapElement {
	out := make([]mapElement, len(v.of))
	for i, b := range v.of {
		out[i] = mapElement{fmt.Sprintf("0x%x %s %d", b.Key, v.limit, b.Limit-v.less), "", b.origin, false}
	}
	return out
}
