package compiler

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// A dealing is a farm's backends of one family, dealt to slots.
type dealing struct {
	backends []Backend
	slots    []int                 // the index of a backend for each slot
	takes    []Backend             // all that a connection can be sent to
	stands   map[string]netip.Addr // by the names of backends, if choices are considered: what stands for each
}

func (l *linker) deal(f *Farm, family Family) dealing {
	if known, ok := l.dealt[dealt{f, family}]; ok {
		return known
	}
	deal := f.deal(family)
	if f.derived.dealt[family] == nil {
		l.dealt[dealt{f, family}] = deal
	}
	return deal
}

// A dealt is whose dealing it is.
type dealt struct {
	farm   *Farm
	family Family
}

// mostKeptSlots is how many slots a farm may have that are kept with it for the next compile: tables of maglev take a
// hundred times the memory.
const mostKeptSlots = 1 << 6

// deal gives the dealing that is kept, or finds one.
func (f *Farm) deal(family Family) dealing {
	if known := f.derived.dealt[family]; known != nil {
		return *known
	}
	deal := f.dealing(family)
	if len(deal.slots) <= mostKeptSlots {
		f.derived.dealt[family] = &deal
	}
	return deal
}

func (f *Farm) dealing(family Family) dealing {
	out := dealing{backends: f.serving(family), takes: f.takes(family)}
	switch {
	case f.Mode == Stateless && f.Persistence != nil:
		out.stands = f.standIns(family)
	case f.considers(family):
		out.stands = f.tokens(family)
	}
	if len(out.backends) == 0 {
		return out
	}
	weights := make([]int, len(out.backends))
	keys := make([]string, len(out.backends))
	for i, b := range out.backends {
		weights[i] = b.Weight
		keys[i] = socket(netip.AddrPortFrom(b.Address[family], b.Port))
	}
	if f.Scheduler == Maglev {
		out.slots = maglev(keys, weights, f.maglevSize(family))
	} else {
		out.slots = deal(weights)
	}
	return out
}

// chooser gives the chain that chooses a backend for the door, and adds the door to what it can choose from.
func (l *linker) chooser(d door) string {
	deal := l.deal(d.farm, d.family)
	if len(deal.backends) == 0 {
		l.rules.noBackend = true
		if len(d.farm.Interfaces) == 0 && len(deal.takes) == 0 {
			return noBackendChain
		}
	}
	if d.farm.considers(d.family) && len(deal.takes) > 0 {
		return l.considered(d, deal)
	}
	if d.shareable() && len(deal.slots) <= mostSharedSlots {
		return l.shared(d, deal)
	}
	return l.own(d, deal)
}

// widestSharedKey is how many registers of 4 bytes the hashed fields of IPv6 may take beside protocol, address and
// port in the key of one lookup; nft 1.0.6 aborts beyond. IPv4 has room for all of them.
const widestSharedKey = 5

// mostSharedSlots is how many slots a farm may have in a map that it shares, where they stand anew for each of its
// ports and addresses: weights that hardly divide come to tens of thousands, which then stand once.
const mostSharedSlots = 1 << 10

// shareable says whether the door can stand in the key of a map that many farms share. A range can't, and a farm
// that goes round its backends has a counter of its own; maglev's table is large, so it stands in a map once, for all
// doors of all farms with the same backends. "*" is rare enough not to have its own kind of shared map.
func (d door) shareable() bool {
	if d.level != portLevel && d.level != addressLevel || len(d.farm.Interfaces) > 0 {
		return false
	}
	return d.farm.picksAlike(d.family)
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
	l.count(d.farm, len(deal.slots))
	c.Slots[0].Pieces = append(c.Slots[0].Pieces, d.piece(slotPiece, func() []mapElement { return d.slots(deal) }))
	if d.farm.Mark != (Mark{}) {
		return l.markFirst(d.farm, c)
	}
	return c.Name
}

// slots are the door's in the map of its shape.
func (d door) slots(deal dealing) []mapElement {
	key := d.key()
	out := make([]mapElement, len(deal.slots))
	for slot, i := range deal.slots {
		b := &deal.backends[i]
		value := b.Address[d.family].String()
		if d.level == portLevel {
			value += " . " + strconv.Itoa(int(cmp.Or(b.Port, d.ports.First)))
		}
		out[slot] = mapElement{key + " . " + strconv.Itoa(slot), value, b.origin(d.farm), false}
	}
	return out
}

// shape gives the shared chain for the door's kind of farm.
func (l *linker) shape(kind string, d door, keyed keying, slots int) *choice {
	f := d.farm
	tentative := strings.HasPrefix(kind, "pick")
	suffix := fmt.Sprintf("%s-%d-%s", f.schedulerName(), slots, d.family.Suffix())
	name := kind + "-" + suffix
	all, known := &l.rules.choices, name
	if len(f.devices()) > 0 { // in the other table
		all, known = &l.rules.ingressPicks, "netdev "+name
	}
	c := l.shapes[known]
	if c == nil {
		c = &choice{Name: name, Family: d.family, Keyed: keyed, Scheduler: f.Scheduler, HashOn: f.HashOn, Tentative: tentative, Marked: f.marks(),
			Slots: []*slotMap{{Name: strings.NewReplacer("dnat", "slots", "pick", "picks").Replace(kind) + "-" + suffix, Slots: slots, Ported: keyed == byDoor && !tentative}}}
		l.shapes[known] = c
		*all = append(*all, c)
	}
	return c
}

// schedulerName is the scheduler as part of a name, with what it hashes.
func (f *Farm) schedulerName() string {
	if f.Scheduler != Hash {
		return string(f.Scheduler)
	}
	return strings.Join(append([]string{string(f.Scheduler)}, hashNames(f.HashOn)...), "-")
}

// own gives the chain that has a number of its own: the farm's for the family, or that of a maglev table.
func (l *linker) own(d door, deal dealing) string {
	f := d.farm
	name, slots := d.chainNames(deal, "")
	c := l.shapes[name]
	if c == nil {
		c = &choice{Name: name, Family: d.family, Keyed: bySlot, Scheduler: f.Scheduler, HashOn: f.HashOn, Only: f.Interfaces,
			Slots: ownSlots(f, d.family, deal, slots), origin: f.origin("scheduler")}
		if f.Scheduler != Maglev {
			c.Mark = f.Mark
		}
		l.shapes[name] = c
		l.rules.choices = append(l.rules.choices, c)
		l.count(f, len(deal.slots))
	}
	if d.protocol != "" && !slices.Contains(c.Protocols, d.protocol) {
		c.Protocols = append(c.Protocols, d.protocol)
	}
	if f.Mark != c.Mark {
		return l.markFirst(f, c)
	}
	return c.Name
}

// markFirst gives the chain that sets the farm's mark before a choice that it shares with farms of other marks.
func (l *linker) markFirst(f *Farm, next *choice) string {
	name := f.Mark.name() + "/" + next.Name
	if l.shapes[name] == nil {
		c := &choice{Name: name, Family: next.Family, Mark: f.Mark, Only: f.Interfaces, Next: next.Name}
		l.shapes[name] = c
		l.rules.choices = append(l.rules.choices, c)
	}
	return name
}

// chainNames names the chain that has a number of its own, and its map. A maglev table's is the same for all farms with
// the same backends; kind tells apart what stands in one nft table.
func (d door) chainNames(deal dealing, kind string) (chain, slots string) {
	if d.farm.Scheduler == Maglev && len(deal.slots) > 0 {
		base := kind + deal.maglevName(d.farm, d.family)
		return base + "-" + d.family.Suffix(), "slots-" + base
	}
	return ownName(d.farm, d.family.Suffix()), ownName(d.farm, "slots")
}

// maglevName names a maglev table by what is in it, so that farms with the same backends share it.
func (d dealing) maglevName(f *Farm, family Family) string {
	var content strings.Builder
	fmt.Fprintf(&content, "%q %q", f.HashOn, f.Interfaces)
	for _, b := range d.backends {
		fmt.Fprintf(&content, " %s %d %d %q %s", b.Address[family], b.Port, b.Weight, b.Interface, b.MAC)
	}
	return fmt.Sprintf("maglev-%d-%016x", len(d.slots), hash64(content.String()))
}

// mostSlots bounds the slots of all farms together: 2^21 of them take nft 22 s and 1.5 GB to load.
const mostSlots = 1 << 21

// count adds up slots, and tells the farm with which they become too many.
func (l *linker) count(f *Farm, slots int) {
	before := l.slots
	l.slots += slots
	if before > mostSlots || l.slots <= mostSlots {
		return
	}
	hint := "weights with a common divisor need fewer"
	if f.Scheduler == Maglev {
		hint = "farms with the same backends share a table of maglev; table-size makes one smaller"
	}
	*l.faults = append(*l.faults, Diagnostic{Farm: f.Name, Place: f.at("scheduler"),
		Message: fmt.Sprintf("with this farm all farms together have more than %d slots", mostSlots), Hint: hint})
}

// ownSlots deals a farm's own slots. A value either keeps the port that was asked for or names one; where a farm has
// backends of both kinds, the first map is asked with all slots but holds those that keep the port alone, and what
// it doesn't hold goes on to the second: with a hash by the same number, else by a number among the others.
func ownSlots(f *Farm, family Family, deal dealing, name string) []*slotMap {
	keeps := func(slot int) bool { return deal.backends[deal.slots[slot]].Port == 0 }
	kept := &slotMap{Name: name + "-" + family.Suffix(), Slots: len(deal.slots)}
	named := &slotMap{Name: name + "-port-" + family.Suffix(), Slots: len(deal.slots), Ported: true}
	for slot, i := range deal.slots {
		b := deal.backends[i]
		address := b.Address[family].String()
		if keeps(slot) {
			kept.Elements = append(kept.Elements, mapElement{fmt.Sprint(slot), address, b.origin(f), false})
			continue
		}
		number := slot
		if !f.Scheduler.repeats() {
			number = len(named.Elements)
		}
		named.Elements = append(named.Elements, mapElement{fmt.Sprint(number), fmt.Sprintf("%s . %d", address, b.Port), b.origin(f), false})
	}
	if !f.Scheduler.repeats() {
		named.Slots = len(named.Elements)
	}
	return slices.DeleteFunc([]*slotMap{kept, named}, func(m *slotMap) bool { return len(m.Elements) == 0 })
}

type choiceView struct {
	Name  string
	Only  []string
	Mark  Mark
	Next  string
	Slots []slotView

	protocols []Protocol

	Header    string
	Pick      string
	Home      string
	Tentative bool
	Clientele *clienteleView
	Count     *countView
	Origin    *Origin
}

// Rules ask the maps of slots, for one protocol each where they rewrite ports.
func (c choiceView) Rules() []slotView {
	var out []slotView
	for _, s := range c.Slots {
		for _, s.Protocol = range s.rewritten(c.protocols) {
			out = append(out, s)
		}
	}
	return out
}

// Form is the template of the chain.
func (c choiceView) Form() string {
	switch {
	case c.Home != "":
		return "considered-choice"
	case c.Tentative:
		return "pick"
	}
	return "choice"
}

// entrance is the chain that a known client's connections go to.
func (c *choice) entrance() string {
	if c.Count != nil {
		return c.Count.Enter
	}
	return c.Home.Name
}

type slotView struct {
	*slotMap
	view
	Keyed     string
	Scheduler Scheduler
	HashInput string
	Seed      string
	Stand     string
	Protocol  Protocol
	Origin    *Origin
}

func (s slotView) elements() []mapElement { return s.Elements }

func (s slotView) pieces() []*piece { return s.Pieces }

// Number is how many slots there are.
func (s slotView) Number() int { return s.slotMap.Slots }

// keyings are their names in templates.
var keyings = [...]string{byDoor: "door", byAddress: "address", byDatagram: "datagram", bySlot: ""}

func newChoiceView(c *choice) choiceView {
	out := choiceView{Name: c.Name, Only: c.Only, Mark: c.Mark, Next: c.Next, Origin: c.origin,
		Header: view{c.Family}.Header(), Pick: c.Pick, Tentative: c.Tentative, protocols: c.Protocols}
	if c.Home != nil {
		out.Home = c.Home.Name
	}
	if c.Count != nil {
		out.Count = &countView{c.Count, view{c.Family}, c.Home.Name, c.origin}
	}
	if c.Clientele != nil {
		out.Clientele = newClienteleView(c.Clientele, c.entrance(), c.origin)
	}
	out.Slots = newSlotViews(c.Slots, c)
	return out
}

// newSlotViews are maps of the choice.
func newSlotViews(maps []*slotMap, c *choice) (out []slotView) {
	for _, m := range maps {
		out = append(out, slotView{
			slotMap:   m,
			view:      view{c.Family},
			Keyed:     keyings[c.Keyed],
			Scheduler: c.Scheduler,
			HashInput: strings.Join(hashInput(c.HashOn, c.Family), " . "),
			Seed:      seed,
			Stand:     view{c.Family}.stand(c.Marked),
			Origin:    c.origin,
		})
	}
	return out
}
