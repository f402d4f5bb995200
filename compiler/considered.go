package compiler

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
)

// A choice is considered, and not final at once, where the farm knows its clients or its backends have limits. What stands
// for a backend, an address, is put into the packet as its destination, as no rule can look up what it has looked up; from
// there it is learnt, counted or changed, and in the end leads to where the backend is.

// considers says whether what the farm's scheduler chooses is not final.
func (f *Farm) considers(family Family) bool { return f.Persistence != nil || f.counts(family) }

// A home is a chain that leads from what stands for a backend to the backend: that of many farms, whose doors stand in the
// keys of its map, or a farm's own. What stands for no backend that takes connections falls through.
type home struct {
	Name      string
	Family    Family
	Keyed     keying
	Protocols []Protocol // whose packets come here; none: any
	Maps      []*slotMap
	origin    *Origin // of a farm's own
}

// considered gives the chain of a farm whose choices are considered, and adds the door to what it leads to.
func (l *linker) considered(d door, deal dealing) string {
	f := d.farm
	name := ownName(f, d.family.Suffix())
	c := l.shapes[name]
	if c == nil {
		c = l.newConsidered(name, d, deal)
	}
	if d.protocol != "" && !slices.Contains(c.Protocols, d.protocol) {
		c.Protocols = append(c.Protocols, d.protocol)
	}
	l.settle(c.Home, d, deal)
	if c.Count != nil {
		c.Count.pass(d, deal)
	}
	if c.Pick != "" {
		l.pick(d, deal)
	}
	return name
}

func (l *linker) newConsidered(name string, d door, deal dealing) *choice {
	f := d.farm
	c := &choice{Name: name, Family: d.family, Keyed: bySlot, Scheduler: f.Scheduler, HashOn: f.HashOn, Only: f.Interfaces, Mark: f.Mark,
		Clientele: f.clientele(d.family, deal.stands), origin: f.origin("scheduler")}
	c.Home = l.home(f, d.family, deal)
	if f.counts(d.family) {
		c.Count = l.newCount(f, d.family, deal, c.Home)
	}
	pick, own := l.picker(d, deal, c.Home.Keyed != bySlot)
	if c.Pick = pick; own != nil {
		c.Slots = []*slotMap{own}
	}
	l.shapes[name] = c
	l.rules.choices = append(l.rules.choices, c)
	return c
}

// keying is what stands before a backend in the keys of the home of a farm: what all its doors show, if they are of one
// kind and not too many.
func (f *Farm) keying(family Family, backends int) keying {
	var levels []level
	doors := 0
	for _, d := range f.doors() {
		if d.family == family {
			doors++
			levels = append(levels, d.level)
		}
	}
	slices.Sort(levels)
	switch levels = slices.Compact(levels); {
	case len(levels) > 1 || doors*backends > mostSharedSlots:
		return bySlot
	case levels[0] == portLevel:
		return byDoor
	case levels[0] == addressLevel:
		return byAddress
	}
	return bySlot
}

// home gives the chain that leads to the farm's backends.
func (l *linker) home(f *Farm, family Family, deal dealing) *home {
	h := &home{Family: family, Keyed: f.keying(family, len(deal.takes))}
	switch h.Keyed {
	case byDoor:
		h.Name, h.Maps = "home-"+family.Suffix(), []*slotMap{{Name: "homes-" + family.Suffix(), Ported: true}}
	case byAddress:
		h.Name, h.Maps = "home-all-"+family.Suffix(), []*slotMap{{Name: "homes-all-" + family.Suffix()}}
	default:
		h.Name, h.Maps, h.origin = ownName(f, "home-"+family.Suffix()), f.homes(family, deal), f.origin("scheduler")
	}
	if known := l.homes[h.Name]; known != nil {
		return known
	}
	l.homes[h.Name] = h
	l.rules.homes = append(l.rules.homes, h)
	return h
}

// homes are the maps of a home of the farm's own: of backends that keep the port, and of those that name one.
func (f *Farm) homes(family Family, deal dealing) []*slotMap {
	kept := &slotMap{Name: ownName(f, "backends-"+family.Suffix())}
	named := &slotMap{Name: ownName(f, "backends-port-"+family.Suffix()), Ported: true}
	for _, b := range deal.takes {
		e := mapElement{deal.stands[b.Name].String(), b.Address[family].String(), b.origin(f), false}
		if b.Port == 0 {
			kept.Elements = append(kept.Elements, e)
			continue
		}
		e.value += " . " + strconv.Itoa(int(b.Port))
		named.Elements = append(named.Elements, e)
	}
	return slices.DeleteFunc([]*slotMap{kept, named}, func(m *slotMap) bool { return len(m.Elements) == 0 })
}

// settle adds the door's backends to their home.
func (l *linker) settle(h *home, d door, deal dealing) {
	if d.protocol != "" && !slices.Contains(h.Protocols, d.protocol) {
		h.Protocols = append(h.Protocols, d.protocol)
	}
	if h.Keyed == bySlot {
		return
	}
	h.Maps[0].Pieces = append(h.Maps[0].Pieces, d.piece(homePiece, func() []mapElement { return d.stands(deal) }))
}

// stands are the door's in the map of its home.
func (d door) stands(deal dealing) []mapElement {
	key := d.key()
	out := make([]mapElement, len(deal.takes))
	for i, b := range deal.takes {
		value := b.Address[d.family].String()
		if d.level == portLevel {
			value += " . " + strconv.Itoa(int(cmp.Or(b.Port, d.ports.First)))
		}
		out[i] = mapElement{key + " . " + deal.stands[b.Name].String(), value, b.origin(d.farm), false}
	}
	return out
}

// picksAlike says whether what picks a backend for the farm can be shared: see shareable.
func (f *Farm) picksAlike(family Family) bool {
	switch f.Scheduler {
	case RoundRobin, Maglev:
		return false
	case Hash:
		return family == IP4 || width(f.HashOn) <= widestSharedKey
	}
	return true
}

// picker gives what picks for the farm among the backends that serve: the chain of its kind, where it shares, or slots of its
// own; neither if there are none.
func (l *linker) picker(d door, deal dealing, shares bool) (shared string, own *slotMap) {
	switch {
	case len(deal.slots) == 0:
		return "", nil
	case shares && d.farm.picksAlike(d.family) && len(deal.slots) <= mostSharedSlots:
		return l.pickShape(d, deal).Name, nil
	}
	l.count(d.farm, len(deal.slots))
	return "", pickSlots(d.farm, d.family, deal)
}

// pickShape gives the chain that picks for the door's kind of farm.
func (l *linker) pickShape(d door, deal dealing) *choice {
	kind, keyed := "pick", byDoor
	switch d.level {
	case addressLevel:
		kind, keyed = "pick-all", byAddress
	case fragmentLevel:
		kind, keyed = "pick-datagram", byDatagram
	}
	if d.farm.marks() {
		kind += "-mark"
	}
	return l.shape(kind, d, keyed, len(deal.slots))
}

// pick puts the door's slots into the map of its shape. A datagram is not one of the farm's doors, which pieces are of.
func (l *linker) pick(d door, deal dealing) {
	l.count(d.farm, len(deal.slots))
	slots := l.pickShape(d, deal).Slots[0]
	if d.level == fragmentLevel {
		slots.Elements = append(slots.Elements, d.picks(deal)...)
		return
	}
	slots.Pieces = append(slots.Pieces, d.piece(pickPiece, func() []mapElement { return d.picks(deal) }))
}

// picks are the door's in the map of what picks for its kind of farm.
func (d door) picks(deal dealing) []mapElement {
	key := d.key()
	out := make([]mapElement, len(deal.slots))
	for slot, i := range deal.slots {
		b := &deal.backends[i]
		out[slot] = mapElement{key + " . " + strconv.Itoa(slot), d.farm.stand(deal.stands[b.Name]), b.origin(d.farm), false}
	}
	return out
}

// pickSlots are slots of the farm's own.
func pickSlots(f *Farm, family Family, deal dealing) *slotMap {
	slots := &slotMap{Name: ownName(f, "slots-"+family.Suffix()), Slots: len(deal.slots)}
	for slot, i := range deal.slots {
		b := deal.backends[i]
		slots.Elements = append(slots.Elements, mapElement{fmt.Sprint(slot), f.stand(deal.stands[b.Name]), b.origin(f), false})
	}
	return slots
}

// tokens gives by the names of the farm's backends the addresses that stand for them. They follow from the backend alone, so
// that clients stay where they are when another one comes or goes, and end in the same 4 bytes in both families, which
// count its connections. Of IPv4 it is the backend's own, but where several have one address, on different ports, one of
// 0.0.0.0/8, which no machine has (RFC 1122). Of IPv6 it is the same within 100::/64 (RFC 6666), or its own if it has
// none of IPv4.
func (f *Farm) tokens(family Family) map[string]netip.Addr {
	having := map[netip.Addr]int{}
	for _, b := range f.Backends {
		having[b.Address[IP4]]++
	}
	out, taken := map[string]netip.Addr{}, map[uint32]bool{}
	for _, b := range f.of(IP4) {
		at := b.Address[IP4]
		if having[at] > 1 {
			at = token(b, IP4, taken)
		}
		taken[lastBytes(at)] = true
		out[b.Name] = at
	}
	if family == IP4 {
		return out
	}
	for _, b := range f.of(IP6) {
		at := b.Address[IP6]
		switch {
		case out[b.Name].IsValid():
			at = discarded(lastBytes(out[b.Name]))
		case taken[lastBytes(at)]:
			at = discarded(lastBytes(token(b, IP6, taken)))
		}
		taken[lastBytes(at)] = true
		out[b.Name] = at
	}
	return out
}

// token is an address of 0.0.0.0/8 that is not taken.
func token(b Backend, family Family, taken map[uint32]bool) netip.Addr {
	number := uint32(hash64(socket(netip.AddrPortFrom(b.Address[family], b.Port)))) % (1 << 24)
	for taken[number] {
		number = (number + 1) % (1 << 24)
	}
	return netip.AddrFrom4([4]byte{0, byte(number >> 16), byte(number >> 8), byte(number)})
}

// discarded is an address of 100::/64.
func discarded(last uint32) netip.Addr {
	address := [16]byte{0: 1}
	binary.BigEndian.PutUint32(address[12:], last)
	return netip.AddrFrom16(address)
}

// lastBytes are the last 4 bytes of an address.
func lastBytes(a netip.Addr) uint32 {
	bytes := a.AsSlice()
	return binary.BigEndian.Uint32(bytes[len(bytes)-4:])
}

// A homeView is a home in nft's words.
type homeView struct {
	*home
	view
	Origin *Origin
}

// Maps are the home's, each asked by a rule.
func (v homeView) Maps() []homeMapView {
	out := make([]homeMapView, len(v.home.Maps))
	for i, m := range v.home.Maps {
		out[i] = homeMapView{m, v.home, v.view, "", v.Origin}
	}
	return out
}

// Rules ask the maps, for one protocol each where they rewrite ports.
func (v homeView) Rules() []homeMapView {
	var out []homeMapView
	for _, m := range v.Maps() {
		for _, m.Protocol = range m.rewritten(v.home.Protocols) {
			out = append(out, m)
		}
	}
	return out
}

// rewritten are the protocols whose ports the map's values rewrite; "" stands for all if they rewrite none.
func (m *slotMap) rewritten(protocols []Protocol) []Protocol {
	if m.Ported {
		return protocols
	}
	return []Protocol{""}
}

type homeMapView struct {
	*slotMap
	home *home
	view
	Protocol Protocol
	Origin   *Origin
}

func (m homeMapView) elements() []mapElement { return m.Elements }

func (m homeMapView) pieces() []*piece { return m.Pieces }

// Keyed is what stands before a backend in the keys, as a name.
func (m homeMapView) Keyed() string { return keyings[m.home.Keyed] }
