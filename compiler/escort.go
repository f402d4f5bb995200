package compiler

import (
	"net/netip"
	"slices"
	"strings"
)

// An escort leads the requests of a stateless farm that knows its clients. There is no connection that could tell whether a
// client is known, so each request asks, and renews its time. What stands for a backend is put into the request as its
// destination, which in the end it nearly always is: packet marks are others', and requests go on through the stack.
type escort struct {
	Family    Family
	Scheduler Scheduler
	HashOn    []HashKey
	Entrances []entrance
	Slots     *slotMap // nil if no backend serves
	Home      string   // the chain that leads from what stands for a backend to the backend
	Steps     []escortStep
	origin    *Origin
}

// An entrance is the chain of the requests to one of the farm's addresses, which is put back where the backend of a known
// client takes no more.
type entrance struct {
	Name      string
	Clientele *clientele
}

// An escortStep is for the backends of one port behind one interface that have either an address of their own or one that
// stands for them.
type escortStep struct {
	translationStep
	Stays bool // the map has no values: the request has the backend's address already
}

// escort gives the chain that leads requests to the door's address, of a farm with persistence.
func (l *linker) escort(d door, deal dealing) string {
	f := d.farm
	home := ownName(f, "home-"+d.family.Suffix())
	e := l.escorts[home]
	if e == nil {
		e = &escort{Family: d.family, Scheduler: f.Scheduler, HashOn: f.HashOn, Home: home, origin: f.origin("scheduler")}
		if len(deal.slots) > 0 {
			e.Slots = pickSlots(f, d.family, deal)
			l.count(f, len(deal.slots))
		}
		l.escorts[home] = e
		if len(f.Interfaces) > 0 {
			l.rules.ingressEscorts = append(l.rules.ingressEscorts, e)
		} else {
			l.rules.escorts = append(l.rules.escorts, e)
		}
	}
	for _, b := range deal.takes {
		e.lead(d, b, deal.stands[b.Name])
	}
	return e.enter(d, deal)
}

// enter gives the chain of the requests to the door's address.
func (e *escort) enter(d door, deal dealing) string {
	name := ownName(d.farm, addressName(d.address)+"-"+d.family.Suffix())
	if !slices.ContainsFunc(e.Entrances, func(o entrance) bool { return o.Name == name }) {
		m := d.farm.clientele(d.family, deal.stands)
		m.Asked = d.address
		if slices.Contains(m.Of.On, DestinationAddress) {
			m.Name = ownName(d.farm, "clients/"+addressName(d.address)+"-"+d.family.Suffix())
		}
		e.Entrances = append(e.Entrances, entrance{name, m})
	}
	return name
}

// addressName is an address as part of a name, which can have no colon.
func addressName(a netip.Addr) string { return strings.ReplaceAll(a.String(), ":", "-") }

// lead has requests of the door's protocol led to the backend.
func (e *escort) lead(d door, b Backend, stand netip.Addr) {
	step := escortStep{d.farm.stepTo(b), stand == b.Address[d.family]}
	alike := func(o escortStep) bool { return o.same(step.translationStep) && o.Stays == step.Stays }
	if step.Port != 0 {
		step.Protocol = d.protocol
	}
	first := slices.IndexFunc(e.Steps, alike)
	if first >= 0 {
		step.Map = e.Steps[first].Map
	} else {
		step.Map = &slotMap{Name: ownName(d.farm, step.name()+"-"+d.family.Suffix())}
	}
	if !slices.Contains(e.Steps, step) {
		e.Steps = append(e.Steps, step)
	}
	element := mapElement{key: stand.String(), origin: b.origin(d.farm)}
	if !step.Stays {
		element.value = b.Address[d.family].String()
	}
	if !slices.ContainsFunc(step.Map.Elements, func(o mapElement) bool { return o.key == element.key }) {
		step.Map.Elements = append(step.Map.Elements, element)
	}
}

// name tells the step from the others of its farm.
func (s escortStep) name() string {
	if s.Stays {
		return "backends" + s.words()
	}
	return "moved" + s.words()
}

// clienteles are what the farm knows of its clients; by address, if that tells them apart.
func (e *escort) clienteles() (out []*clientele) {
	for _, in := range e.Entrances {
		if !slices.ContainsFunc(out, func(m *clientele) bool { return m.Name == in.Clientele.Name }) {
			out = append(out, in.Clientele)
		}
	}
	return out
}

// standIns gives by the names of the farm's backends the addresses that stand for them where requests have them as their
// destination: their own, but of those that share one, on different ports, one that no machine has (see tokens).
func (f *Farm) standIns(family Family) map[string]netip.Addr {
	having := map[netip.Addr]int{}
	for _, b := range f.of(family) {
		having[b.Address[family]]++
	}
	out, taken := map[string]netip.Addr{}, map[uint32]bool{}
	for _, b := range f.of(family) {
		at := b.Address[family]
		if having[at] > 1 {
			at = token(b, family, taken)
			taken[lastBytes(at)] = true
			if family == IP6 {
				at = discarded(lastBytes(at))
			}
		}
		out[b.Name] = at
	}
	return out
}
