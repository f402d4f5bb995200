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
	Name      string // of the farm's chains and maps
	Family    Family
	Scheduler Scheduler
	HashOn    []HashKey
	Entrances []entrance
	Pick      string   // the chain that picks what stands for a backend; "": the slots hold it
	Slots     *slotMap // nil if no backend serves, or another chain picks
	Home      *escortHome
	origin    *Origin
}

// An entrance is the chain of the requests to one of the farm's addresses, which is put back where the backend of a known
// client takes no more.
type entrance struct {
	Name      string
	Clientele *clientele
}

// An escortHome is a chain that leads from what stands for a backend to the backend: that of many farms, whose doors stand in
// the keys of its sets, or a farm's own. What stands for no backend that takes requests falls through.
type escortHome struct {
	Name   string
	Family Family
	Keyed  keying
	Steps  []escortStep
	origin *Origin // of a farm's own
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
	name := ownName(f, d.family.Suffix())
	e := l.escorts[name]
	if e == nil {
		e = l.newEscort(name, d, deal)
	}
	if !l.placed[d] { // at another interface
		l.placed[d] = true
		for _, b := range deal.takes {
			e.Home.lead(d, b, deal.stands[b.Name])
		}
		if e.Pick != "" {
			l.pick(d, deal)
		}
	}
	return e.enter(d, deal)
}

func (l *linker) newEscort(name string, d door, deal dealing) *escort {
	f := d.farm
	e := &escort{Name: name, Family: d.family, Scheduler: f.Scheduler, HashOn: f.HashOn, Home: l.escortHome(d, deal), origin: f.origin("scheduler")}
	e.Pick, e.Slots = l.picker(d, deal, f.keying(d.family, len(deal.slots)) != bySlot)
	l.escorts[name] = e
	if len(f.Interfaces) > 0 {
		l.rules.ingressEscorts = append(l.rules.ingressEscorts, e)
	} else {
		l.rules.escorts = append(l.rules.escorts, e)
	}
	return e
}

// escortHome gives the chain that leads to the farm's backends. Farms share one if all of their backends are of one step: two
// of them can't have a backend of one address, asked for on one port, as its replies could be of either.
func (l *linker) escortHome(d door, deal dealing) *escortHome {
	f := d.farm
	h := &escortHome{Name: ownName(f, "home-"+d.family.Suffix()), Family: d.family, Keyed: bySlot, origin: f.origin("scheduler")}
	first := deal.takes[0]
	same := func(b Backend) bool {
		return f.stepTo(b).same(f.stepTo(first)) && deal.stands[b.Name] == b.Address[d.family]
	}
	if keyed := f.keying(d.family, len(deal.takes)); keyed != bySlot && !slices.ContainsFunc(deal.takes, func(b Backend) bool { return !same(b) }) {
		kind := map[keying]string{byDoor: "home-stateless", byAddress: "home-stateless-all"}[keyed]
		h = &escortHome{Name: kind + f.stepTo(first).words() + "-" + d.family.Suffix(), Family: d.family, Keyed: keyed}
	}
	if known := l.escortHomes[h.Name]; known != nil {
		return known
	}
	l.escortHomes[h.Name] = h
	if len(f.Interfaces) > 0 {
		l.rules.ingressEscortHomes = append(l.rules.ingressEscortHomes, h)
	} else {
		l.rules.escortHomes = append(l.rules.escortHomes, h)
	}
	return h
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

// lead has requests of the door led to the backend.
func (h *escortHome) lead(d door, b Backend, stand netip.Addr) {
	step := escortStep{d.farm.stepTo(b), stand == b.Address[d.family]}
	alike := func(o escortStep) bool { return o.same(step.translationStep) && o.Stays == step.Stays }
	if step.Port != 0 {
		step.Protocol = d.protocol
	}
	if first := slices.IndexFunc(h.Steps, alike); first >= 0 {
		step.Map = h.Steps[first].Map
	} else {
		step.Map = &slotMap{Name: h.setName(d.farm, step)}
	}
	if !slices.Contains(h.Steps, step) {
		h.Steps = append(h.Steps, step)
	}
	element := mapElement{key: stand.String(), origin: b.origin(d.farm)}
	if h.Keyed != bySlot {
		d.address = stand
		element.key = d.key()
	}
	if !step.Stays {
		element.value = b.Address[d.family].String()
	}
	if !slices.ContainsFunc(step.Map.Elements, func(o mapElement) bool { return o.key == element.key }) {
		step.Map.Elements = append(step.Map.Elements, element)
	}
}

// setName is that of a step's set or map.
func (h *escortHome) setName(f *Farm, s escortStep) string {
	switch {
	case h.Keyed != bySlot:
		return "homes" + strings.TrimPrefix(h.Name, "home")
	case s.Stays:
		return ownName(f, "backends"+s.words()+"-"+h.Family.Suffix())
	}
	return ownName(f, "moved"+s.words()+"-"+h.Family.Suffix())
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

// An escortView is an escort in nft's words.
type escortView struct {
	*escort
	view
	Clienteles []*clienteleView
	Entrances  []entranceView
	Slots      []slotView
	Home       string
	Origin     *Origin
}

type entranceView struct {
	Name      string
	Clientele *clienteleView
}

// Serves says whether some backend takes clients that aren't known.
func (v escortView) Serves() bool { return v.Pick != "" || len(v.Slots) > 0 }

func newEscortView(e *escort) escortView {
	v := escortView{escort: e, view: view{e.Family}, Home: e.Home.Name, Origin: e.origin}
	for i, m := range e.clienteles() {
		if i > 0 { // fixed sessions are asked for by the address, too
			m = &clientele{Name: m.Name, Family: m.Family, Of: m.Of, On: m.On}
		}
		v.Clienteles = append(v.Clienteles, newClienteleView(m, v.Home, e.origin))
	}
	for _, in := range e.Entrances {
		v.Entrances = append(v.Entrances, entranceView{in.Name, newClienteleView(in.Clientele, v.Home, e.origin)})
	}
	if e.Slots != nil {
		v.Slots = newSlotViews([]*slotMap{e.Slots}, &choice{Family: e.Family, Keyed: bySlot, Scheduler: e.Scheduler, HashOn: e.HashOn, origin: e.origin})
	}
	return v
}

// An escortHomeView is an escortHome in nft's words.
type escortHomeView struct {
	*escortHome
	view
	Maps  []escortStepView
	Steps []escortStepView
}

type escortStepView struct {
	escortStep
	view
	home   *escortHome
	Origin *Origin
}

func (v escortStepView) elements() []mapElement { return v.Map.Elements }

// Keyed is what stands before a backend in the keys, as a name.
func (v escortStepView) Keyed() string { return keyings[v.home.Keyed] }

func escortHomeViews(all []*escortHome) []escortHomeView {
	out := make([]escortHomeView, len(all))
	for i, h := range all {
		v := escortHomeView{escortHome: h, view: view{h.Family}}
		for _, s := range h.Steps {
			step := escortStepView{s, v.view, h, h.origin}
			v.Steps = append(v.Steps, step)
			if !slices.ContainsFunc(v.Maps, func(o escortStepView) bool { return o.Map == s.Map }) {
				v.Maps = append(v.Maps, step)
			}
		}
		out[i] = v
	}
	return out
}

func escortViews(all []*escort) []escortView {
	out := make([]escortView, len(all))
	for i, e := range all {
		out[i] = newEscortView(e)
	}
	return out
}
