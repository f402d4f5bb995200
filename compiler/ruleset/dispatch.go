package ruleset

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// Dispatch leads packets to the chains of their farms: base chains look up a packet's destination in verdict maps, one
// for each specificity and family. The number of base chains and maps grows with the kinds of farms, not with the
// farms, as the kernel's time for a load is quadratic in both.

// A verdict is a verdict of nft.
type verdict string

const (
	accept    verdict = "accept"
	drop      verdict = "drop"
	goBack    verdict = "return"
	noVerdict verdict = ""
)

// goTo and jumpTo are the verdicts that lead to a chain; "" leads nowhere.
func goTo(chain string) verdict {
	if chain == "" {
		return noVerdict
	}
	return verdict("goto " + chain)
}

func jumpTo(chain string) verdict { return verdict("jump " + chain) }

// chain gives the chain that the verdict leads to; "" if it leads to none.
func (v verdict) chain() string {
	if _, chain, ok := strings.Cut(string(v), " "); ok {
		return chain
	}
	return ""
}

// A dispatchMap is a map from frontends of one kind to verdicts, or to addresses.
type dispatchMap struct {
	*object
	addressMask
	Specificity farm.Specificity
	Established bool         // the keys are of established connections: the backend is part of them
	Fragments   bool         // the keys are of later fragments
	Compared    farm.Ports   // rules compare these ports, and the keys lack them; zero: they have them
	Protocols   protocolList // of the frontends
	Zone        *zone        // of the frontends; nil: of none
	Final       bool         // of the addresses of replies: some replies need nothing but the address

	place mapPlace
}

// A mapPlace says where a dispatchMap stands, and how its name and the name of its template begin.
type mapPlace struct {
	table            TableFamily
	section          section
	prefix, template string
}

// addTo adds a frontend to the map of its kind, and the map to the maps that its chain asks.
func (l *linker) addTo(maps *[]*dispatchMap, at mapPlace, d frontend, value string) *dispatchMap {
	return l.addElement(maps, at, d, d.element(value))
}

// addElement adds a frontend with a given element.
func (l *linker) addElement(maps *[]*dispatchMap, at mapPlace, d frontend, e element) *dispatchMap {
	m := l.dispatchMap(maps, at, d)
	m.elements.add(e)
	m.Protocols.add(d.Protocol)
	return m
}

// element is the frontend as a key, with a value. The line of a farm's frontend is rendered once for each value, and
// kept from one script to the next.
func (d frontend) element(value string) element {
	if !d.isOfFarm() {
		return d.newElement(value)
	}
	s := d.farm
	if s.lines == nil {
		s.lines = make([][]element, len(s.frontends))
	}
	kept := &s.lines[d.number]
	for i := range *kept {
		if (*kept)[i].value == value {
			return (*kept)[i]
		}
	}
	e := d.newElement(value)
	if e.line = string(e.appendTo(nil)); len(*kept) < maxKeptLines {
		*kept = append(*kept, e)
	}
	return e
}

func (d frontend) newElement(value string) element {
	return element{key: d.key(), value: value, origin: d.origin(), commented: true, owner: owner{d.farm, d.number}}
}

// maxKeptLines is the number of values that lines of a frontend are kept for: it has one in each of a few maps, and
// others as the kinds of the other farms change.
const maxKeptLines = 8

// dispatchMap gives the map of the frontend's kind. It runs for each of 10,000 farms, so it makes no object where the
// map exists.
func (l *linker) dispatchMap(maps *[]*dispatchMap, at mapPlace, d frontend) *dispatchMap {
	for _, m := range *maps { // their names are longer to make than to find
		if m.isFor(at, d) {
			return m
		}
	}
	name := at.prefix + d.mapKind() + "-" + d.Family.Suffix()
	if there := l.rules.objects[objectID{at.table, nameSpace(KindMap), name}]; there != nil {
		return there.data.(*dispatchMap)
	}
	m := d.newDispatchMap(at, name)
	m.Zone = l.zone(d.farm.Zone)
	l.rules.add(m.object)
	*maps = append(*maps, m)
	return m
}

// isFor reports whether the map is that of a frontend, of the kinds that thousands of farms have.
func (m *dispatchMap) isFor(at mapPlace, d frontend) bool {
	return m.place == at && m.Specificity == d.Specificity && m.Family == d.Family && m.isOfZone(d.farm.Zone) &&
		!m.Compares() && !d.compared && !m.Fragments && !d.fragment
}

// newDispatchMap makes the map of the frontend's kind.
func (d frontend) newDispatchMap(at mapPlace, name string) *dispatchMap {
	m := &dispatchMap{Specificity: d.Specificity, addressMask: d.addressMask(), place: at}
	m.Established, m.Fragments = d.backend.IsValid(), d.fragment
	if d.compared {
		m.Compared = d.Ports
	}
	m.object = newMap(name, at.section, at.template+m.Form()).at(at.table).with(m)
	return m
}

// kindName is the name of a kind of specificity in the names of maps and of templates.
func kindName(s farm.Specificity) string {
	switch s.Kind() {
	case farm.ExactPort:
		return "services"
	case farm.PortRange:
		return "ranges"
	case farm.OneProtocol:
		return "protocols"
	case farm.WholeAddress:
		return "addresses"
	case farm.AnyAddressPort:
		return "any-services"
	}
	return "any-ranges"
}

// mapKind is the kind of frontends that one map holds, as part of the map's name.
func (d frontend) mapKind() string {
	name := kindName(d.Specificity)
	switch {
	case d.fragment:
		name = "fragments"
	case d.compared:
		name += "/" + d.Ports.String()
	}
	return zonePart(d.farm.Zone) + networkPart(d.Specificity) + name
}

// key is the frontend as a key of its map. The keys of a farm's frontends are made once.
func (d frontend) key() string {
	s := d.farm
	if !d.isOfFarm() {
		return d.newKey()
	}
	if s.keys == nil {
		s.keys = make([]string, len(s.frontends))
	}
	if s.keys[d.number] == "" {
		s.keys[d.number] = d.newKey()
	}
	return s.keys[d.number]
}

// isOfFarm reports whether the frontend is one of its farm's, and not made from one.
func (d frontend) isOfFarm() bool {
	return d.number < len(d.farm.frontends) && d == d.farm.frontends[d.number]
}

func (d frontend) newKey() string {
	switch {
	case d.quoted:
		return d.quotedKey()
	case d.compared, d.fragment:
		return string(d.Protocol) + " . " + d.Address.String()
	case d.Specificity.Kind() == farm.OneProtocol:
		return strconv.Itoa(d.Protocol.Number()) + " . " + d.Address.String()
	case d.Whole():
		return d.Address.String()
	case d.Specificity >= farm.AnyAddressPort && d.backend.IsValid():
		return string(d.Protocol) + " . " + d.Ports.String() + " . " + d.backend.String()
	case d.Specificity >= farm.AnyAddressPort:
		return string(d.Protocol) + " . " + d.Ports.String()
	}
	return string(d.Protocol) + " . " + d.Address.String() + " . " + d.Ports.String()
}

// quotedKey is the frontend in the packet that an ICMP error quotes, as raw payload.
func (d frontend) quotedKey() string {
	switch {
	case d.Whole():
		return rawAddress(d.Address)
	case d.Portless():
		return fmt.Sprintf("%d . %s", d.Protocol.Number(), rawAddress(d.Address))
	}
	return fmt.Sprintf("%d . %s . %s", d.Protocol.Number(), rawAddress(d.Address), d.Ports)
}

// rawAddress writes an address as nft compares raw payload with.
func rawAddress(a netip.Addr) string { return fmt.Sprintf("0x%x", a.AsSlice()) }

// Form names the templates of the map, after the fields in its keys.
func (m *dispatchMap) Form() string {
	switch {
	case m.Fragments:
		return "fragments"
	case m.Established:
		return "established-" + kindName(m.Specificity)
	case m.Compares():
		return "compared-" + kindName(m.Specificity)
	}
	return kindName(m.Specificity)
}

// Compares reports whether rules compare the ports before they look up the other fields.
func (m *dispatchMap) Compares() bool { return m.Compared != farm.Ports{} }

// Ask is the template of the rule that looks up a packet's destination.
func (m *dispatchMap) Ask() string { return "ask-" + m.Form() }

// AskOriginal is the template of the rule that looks up the destination that a connection was opened to.
func (m *dispatchMap) AskOriginal() string { return "ask-original-" + m.Form() }

// Source and Destination are the templates of a packet's source and destination in the fields of the map.
func (m *dispatchMap) Source() string { return "source-" + m.Form() }

// Destination is described at Source.
func (m *dispatchMap) Destination() string { return "destination-" + m.Form() }

// Match gives the protocols of the frontends as a rule compares them: one as it is, which is faster, or a set.
func (m *dispatchMap) Match() string {
	words := make([]string, len(m.Protocols))
	for i, p := range m.Protocols {
		words[i] = string(p)
	}
	if len(words) == 1 {
		return words[0]
	}
	return "{ " + strings.Join(words, ", ") + " }"
}

// A baseChain describes a base chain, or a chain that base chains share, before packets are dispatched there.
type baseChain struct {
	name    string // of the chain, and of its template
	section section
	prefix  string // of the names of its maps
	any     string // the name of its anyChain; "": the chain asks all maps itself
	opens   bool   // packets that open connections pass it, also of connections that the kernel opens for clients
}

// A hook is a base chain, or a chain that base chains share, with the maps that it asks.
type hook struct {
	Name string
	Maps []*dispatchMap
	Any  *anyChain // nil: no frontend is on every address of this machine

	First       *firstPick     // asked before the maps; nil: none
	Sources     []*dispatchMap // maps that the chain asks for a packet's source
	Outgoing    string         // the chain for connections that no farm has translated; "": none
	EveryPacket bool           // not only the first packet of a connection
}

// An anyChain asks the maps of frontends on every address of this machine, after one look at the routing table.
type anyChain struct {
	Name string
	Maps []*dispatchMap
}

// hook gives the hook of a base chain.
func (l *linker) hook(b baseChain) *hook {
	o := newChain(b.name, b.section, b.name)
	return obtain(&l.rules, o, func() *hook { return &hook{Name: b.name} })
}

// anyChain gives the chain for every address of this machine.
func (l *linker) anyChain(name string, of section) *anyChain {
	o := newChain(name, of, "any-address")
	return obtain(&l.rules, o, func() *anyChain { return &anyChain{Name: name} })
}

// dispatch gives the frontends for which there is a verdict an element with it. The others accept where a more general
// frontend would catch their packets. It gives the hook; nil if there is no verdict for any frontend.
func (l *linker) dispatch(b baseChain, frontends []frontend, of func(frontend) verdict) *hook {
	return l.dispatchVerdicts(b, frontends, verdictsOf(frontends, of))
}

// verdictsOf gives the verdict or the chain of each frontend; nil if no frontend has one.
func verdictsOf[V ~string](frontends []frontend, of func(frontend) V) (verdicts []V) {
	for i := range frontends {
		if v := of(frontends[i]); v != "" {
			if verdicts == nil { // most features are used by no farm
				verdicts = make([]V, len(frontends))
			}
			verdicts[i] = v
		}
	}
	return verdicts
}

// dispatchVerdicts is dispatch with the verdict of each frontend.
func (l *linker) dispatchVerdicts(b baseChain, frontends []frontend, verdicts []verdict) *hook {
	if verdicts == nil {
		return nil
	}
	h, general := l.hook(b), mostGeneral(frontends, verdicts)
	for i := range frontends {
		d := &frontends[i]
		switch {
		case verdicts[i] != noVerdict:
			l.addToHook(h, b, *d, verdicts[i])
		case d.Specificity < general[d.Family]:
			l.addToHook(h, b, *d, accept)
		}
	}
	return h
}

// mostGeneral gives by family the most general specificity of a frontend that has a verdict.
func mostGeneral(frontends []frontend, verdicts []verdict) (out [len(addr.Families)]farm.Specificity) {
	for i := range frontends {
		if d := &frontends[i]; verdicts[i] != noVerdict {
			out[d.Family] = max(out[d.Family], d.Specificity)
		}
	}
	return out
}

func (l *linker) addToHook(h *hook, b baseChain, d frontend, v verdict) {
	maps := &h.Maps
	if d.Specificity >= farm.AnyAddressPort && b.any != "" {
		if h.Any == nil {
			h.Any = l.anyChain(b.any, b.section)
		}
		maps = &h.Any.Maps
	}
	l.addTo(maps, mapPlace{Inet, b.section, b.prefix, ""}, d, string(v))
}

// byPorts parts the maps that are asked before packets without ports are taken out from the others: maps without ports
// in their keys, and, of networks, maps that come after them.
func byPorts(maps []*dispatchMap) (ports, addresses []*dispatchMap) {
	first := slices.IndexFunc(maps, (*dispatchMap).portless)
	if first < 0 {
		return maps, nil
	}
	return maps[:first], maps[first:]
}

func (m *dispatchMap) whole() bool { return m.Specificity.Kind() == farm.WholeAddress }

// portless reports whether the keys have no ports, as a whole address or a single protocol has none.
func (m *dispatchMap) portless() bool { return m.whole() || m.Specificity.Kind() == farm.OneProtocol }
