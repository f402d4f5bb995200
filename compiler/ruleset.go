package compiler

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// A ruleset is what the farms come to, in nft's shapes. Chains and maps grow with the kinds of farms, not with the
// farms, wherever that can be had: the kernel's time to load is quadratic in both.
type ruleset struct {
	prerouting  []*verdictMap // from outside: which chain chooses the backend
	output      []*verdictMap // the same for connections that this machine opens
	postrouting []*verdictMap // which chain chooses the source, for connections whose backend was chosen
	choices     []*choice     // the chains that choose a backend
	sources     []*sourceChain

	noBackend bool // some farm has no backend that can serve
}

// A verdictMap leads from doors of one level and family to chains.
type verdictMap struct {
	Name     string
	Level    level
	Family   Family
	Elements []mapElement
}

// A mapElement is a line of a map.
type mapElement struct {
	key, value string
	origin     *Origin
	named      bool // whether its comment, in the kernel, carries the farm's name
}

// A choice is a chain that chooses a backend: one that many farms share (the door stands in the keys of its map), or
// a farm's own.
type choice struct {
	Name      string
	Family    Family
	Keyed     keying
	Scheduler Scheduler
	HashOn    []HashKey
	Protocols []Protocol // whose packets come here; none: any
	Slots     []*slotMap // asked in this order
	origin    *Origin    // of a farm's own
}

// A keying is what stands before the slot in the keys of a choice's map.
type keying int

const (
	byDoor    keying = iota // protocol, address and port
	byAddress               // address
	bySlot                  // nothing: the chain is a farm's own
)

// A slotMap leads from slots, numbered from 0, to backends.
type slotMap struct {
	Name     string
	Slots    int  // how many are dealt; of a hash, a map may lack some
	Ported   bool // whether its values name a port
	Elements []mapElement
}

// A sourceChain chooses the source address that a backend sees. Without any it is this machine's own.
type sourceChain struct {
	Name     string
	Family   Family
	Address  netip.Addr // of the farm, or not valid
	Map      string     // leads from backends to their own sources; "" without
	Elements []mapElement
	origin   *Origin
}

const (
	noBackendChain  = "no-backend"
	masqueradeChain = "masquerade-all"
)

// link joins farms, valid alone, into one ruleset, and finds what is wrong between them.
func link(farms []*Farm, faults *Diagnostics) *ruleset {
	var all []door
	for _, f := range farms {
		all = append(all, f.doors()...)
	}
	slices.SortStableFunc(all, compareDoors)
	conflicts(all, faults)
	if faults.Faulty() {
		return nil
	}
	l := linker{shapes: map[string]*choice{}, verdicts: map[string]*verdictMap{}, sources: map[string]bool{}}
	served := slices.DeleteFunc(all, func(d door) bool { return d.farm.Down })
	l.serve(served)
	l.recall(served)
	slices.SortFunc(l.rules.choices, func(a, b *choice) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(l.rules.sources, func(a, b *sourceChain) int { return cmp.Compare(a.Name, b.Name) })
	return &l.rules
}

type linker struct {
	rules    ruleset
	shapes   map[string]*choice // by name, of choices that stand
	verdicts map[string]*verdictMap
	sources  map[string]bool
	dealt    map[*Farm]*[len(Families)]dealing
}

// A dealing is a farm's backends of one family, dealt to slots.
type dealing struct {
	backends []Backend
	slots    []int // the index of a backend for each slot
}

func (l *linker) deal(f *Farm, family Family) dealing {
	if l.dealt == nil {
		l.dealt = map[*Farm]*[len(Families)]dealing{}
	}
	known := l.dealt[f]
	if known == nil {
		known = &[len(Families)]dealing{}
		for _, family := range Families {
			known[family] = newDealing(f.serving(family))
		}
		l.dealt[f] = known
	}
	return known[family]
}

func newDealing(backends []Backend) dealing {
	if len(backends) == 0 {
		return dealing{}
	}
	weights := make([]int, len(backends))
	for i, b := range backends {
		weights[i] = b.Weight
	}
	return dealing{backends, deal(weights)}
}

// serve leads every door to the chain that chooses a backend.
func (l *linker) serve(doors []door) {
	for _, d := range doors {
		chain := l.chooser(d)
		l.lead(&l.rules.prerouting, "", d, "goto "+chain)
		if d.farm.LocalClients {
			l.lead(&l.rules.output, "local-", d, "goto "+chain)
		}
	}
}

// lead adds a door to the map of its level and family.
func (l *linker) lead(to *[]*verdictMap, prefix string, d door, verdict string) {
	name := prefix + levelNames[d.level] + "-" + d.family.Suffix()
	m := l.verdicts[name]
	if m == nil {
		m = &verdictMap{Name: name, Level: d.level, Family: d.family}
		l.verdicts[name] = m
		*to = append(*to, m)
	}
	m.Elements = append(m.Elements, mapElement{d.key(), verdict, d.origin(), true})
}

var levelNames = [levels]string{"services", "ranges", "addresses", "any-services", "any-ranges"}

// key is the door in the words of the map of its level.
func (d door) key() string {
	switch d.level {
	case addressLevel:
		return d.address.String()
	case anyPortLevel, anyRangeLevel:
		return string(d.protocol) + " . " + d.ports.String()
	}
	return string(d.protocol) + " . " + d.address.String() + " . " + d.ports.String()
}

func (d door) origin() *Origin {
	return &Origin{Farm: d.farm.Name, Key: "listen", Place: d.listen.Place}
}

// chooser gives the chain that chooses a backend for the door, and adds the door to what it can choose from.
func (l *linker) chooser(d door) string {
	deal := l.deal(d.farm, d.family)
	if len(deal.backends) == 0 {
		l.rules.noBackend = true
		return noBackendChain
	}
	if d.shareable() {
		return l.shared(d, deal)
	}
	return l.own(d, deal)
}

// widestSharedKey is how many registers of 4 bytes the hashed fields of IPv6 may take beside protocol, address and
// port in the key of one lookup; nft 1.0.6 aborts beyond. IPv4 has room for all of them.
const widestSharedKey = 5

// shareable says whether the door can stand in the key of a map that many farms share. A range can't, and a farm
// that goes round its backends has a counter of its own. "*" is rare enough not to have its own kind of shared map.
func (d door) shareable() bool {
	if d.level != portLevel && d.level != addressLevel || d.farm.Scheduler == RoundRobin {
		return false
	}
	return d.farm.Scheduler != Hash || d.family == IP4 || width(d.farm.HashOn) <= widestSharedKey
}

// shared puts the door's slots into the map of its shape.
func (l *linker) shared(d door, deal dealing) string {
	keyed, kind := byDoor, "dnat"
	if d.level == addressLevel {
		keyed, kind = byAddress, "dnat-all"
	}
	c := l.shape(kind, d, keyed, len(deal.slots))
	if keyed == byDoor && !slices.Contains(c.Protocols, d.protocol) {
		c.Protocols = append(c.Protocols, d.protocol)
	}
	key := d.key()
	for slot, i := range deal.slots {
		b := deal.backends[i]
		value := b.Address[d.family].String()
		if keyed == byDoor {
			value = fmt.Sprintf("%s . %d", value, cmp.Or(b.Port, d.ports.First))
		}
		c.Slots[0].Elements = append(c.Slots[0].Elements, mapElement{fmt.Sprintf("%s . %d", key, slot), value, b.origin(d.farm), false})
	}
	return c.Name
}

// shape gives the shared chain for the door's kind of farm.
func (l *linker) shape(kind string, d door, keyed keying, slots int) *choice {
	f := d.farm
	words := []string{string(f.Scheduler)}
	if f.Scheduler == Hash {
		words = append(words, hashNames(f.HashOn)...)
	}
	suffix := fmt.Sprintf("%s-%d-%s", strings.Join(words, "-"), slots, d.family.Suffix())
	name := kind + "-" + suffix
	c := l.shapes[name]
	if c == nil {
		c = &choice{Name: name, Family: d.family, Keyed: keyed, Scheduler: f.Scheduler, HashOn: f.HashOn,
			Slots: []*slotMap{{Name: strings.Replace(kind, "dnat", "slots", 1) + "-" + suffix, Slots: slots, Ported: keyed == byDoor}}}
		l.shapes[name] = c
		l.rules.choices = append(l.rules.choices, c)
	}
	return c
}

// own gives the farm's own chain for the family.
func (l *linker) own(d door, deal dealing) string {
	f := d.farm
	name := ownName(f, d.family.Suffix())
	c := l.shapes[name]
	if c == nil {
		c = &choice{Name: name, Family: d.family, Keyed: bySlot, Scheduler: f.Scheduler, HashOn: f.HashOn,
			Slots: ownSlots(f, d.family, deal), origin: &Origin{Farm: f.Name, Key: "scheduler", Place: f.Place}}
		l.shapes[name] = c
		l.rules.choices = append(l.rules.choices, c)
	}
	if d.protocol != "" && !slices.Contains(c.Protocols, d.protocol) {
		c.Protocols = append(c.Protocols, d.protocol)
	}
	return c.Name
}

func ownName(f *Farm, part string) string { return "farm/" + f.Name + "/" + part }

// ownSlots deals a farm's own slots. A value either keeps the port that was asked for or names one; where a farm has
// backends of both kinds, the first map is asked with all slots but holds those that keep the port alone, and what
// it doesn't hold goes on to the second: with a hash by the same number, else by a number among the others.
func ownSlots(f *Farm, family Family, deal dealing) []*slotMap {
	keeps := func(slot int) bool { return deal.backends[deal.slots[slot]].Port == 0 }
	kept := &slotMap{Name: ownName(f, "slots-"+family.Suffix()), Slots: len(deal.slots)}
	named := &slotMap{Name: ownName(f, "slots-port-"+family.Suffix()), Slots: len(deal.slots), Ported: true}
	for slot, i := range deal.slots {
		b := deal.backends[i]
		address := b.Address[family].String()
		if keeps(slot) {
			kept.Elements = append(kept.Elements, mapElement{fmt.Sprint(slot), address, b.origin(f), false})
			continue
		}
		number := slot
		if f.Scheduler != Hash {
			number = len(named.Elements)
		}
		named.Elements = append(named.Elements, mapElement{fmt.Sprint(number), fmt.Sprintf("%s . %d", address, b.Port), b.origin(f), false})
	}
	if f.Scheduler != Hash {
		named.Slots = len(named.Elements)
	}
	return slices.DeleteFunc([]*slotMap{kept, named}, func(m *slotMap) bool { return len(m.Elements) == 0 })
}

func (b Backend) origin(f *Farm) *Origin {
	return &Origin{Farm: f.Name, Key: "backends." + b.Name, Place: b.Place}
}

// recall leads the connections of every snat farm, whose backend is chosen by then, to the chain that chooses their
// source. A farm that keeps the client's address stands there, too, where a more general door would catch it.
func (l *linker) recall(doors []door) {
	var general [len(Families)]level // the most general level of a door that rewrites the source
	for _, d := range doors {
		if d.farm.Mode == SNAT {
			general[d.family] = max(general[d.family], d.level)
		}
	}
	for _, d := range doors {
		switch {
		case len(l.deal(d.farm, d.family).backends) == 0:
		case d.farm.Mode == SNAT:
			l.lead(&l.rules.postrouting, "source-", d, "goto "+l.source(d.farm, d.family))
		case d.level < general[d.family]:
			l.lead(&l.rules.postrouting, "source-", d, "accept")
		}
	}
}

// source gives the chain that chooses the source for a farm.
func (l *linker) source(f *Farm, family Family) string {
	c := sourceOf(f, family)
	if !l.sources[c.Name] {
		l.sources[c.Name] = true
		l.rules.sources = append(l.rules.sources, c)
	}
	return c.Name
}

// sourceOf is masquerade for all farms that leave the source to the machine, one chain for each address that farms
// name, and a chain of the farm's own if its backends have sources of their own.
func sourceOf(f *Farm, family Family) *sourceChain {
	c := &sourceChain{Name: masqueradeChain, Family: family, Address: f.Source[family]}
	if c.Address.IsValid() {
		c.Name = "source-" + strings.ReplaceAll(c.Address.String(), ":", ".") // a colon would end the name
	}
	for _, b := range f.serving(family) {
		if b.Source.Has(family) {
			c.Elements = append(c.Elements, mapElement{b.Address[family].String(), b.Source[family].String(), b.origin(f), false})
		}
	}
	if len(c.Elements) > 0 {
		c.Name, c.Map = ownName(f, "source-"+family.Suffix()), ownName(f, "sources-"+family.Suffix())
		c.Elements = slices.CompactFunc(c.Elements, func(a, b mapElement) bool { return a.key == b.key })
		c.origin = &Origin{Farm: f.Name, Key: "source-address", Place: f.Place}
	}
	return c
}
