package compiler

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// page is the ruleset as the templates see it: words, with the arithmetic done.
func (r *ruleset) page() any {
	p := struct {
		Verdicts                        []*mapView
		Choices                         []choiceView
		Homes                           []homeView
		Rings                           []ringView
		Reliefs                         []reliefView
		Relieved, RelievedLocal         *hookView
		Brims, Counts                   *countedView
		Sources                         []sourceView
		InterfaceSets                   []interfaceSet
		AnyChains                       []*anyView
		Prerouting, Output, Postrouting *hookView
		NoBackend                       bool
		Marks                           []markChain
		Marked                          []markedView
		Helpers                         []helper
		Marking, Helped, Offloaded      *hookView
		MarksLocal                      bool
		Flows                           *flowTable
		Forwards                        []forwardView
		Attendances                     []attendanceView
		Ingresses                       []ingressView
		Raw                             *ingressView
		Escorts, IngressEscorts         []escortView
		EscortHomes, IngressEscortHomes []escortHomeView
		IngressPicks                    []choiceView
		Translations                    []translationView
		IngressTranslations             []translationView
		Replies, Originals              []*mapView
		ReplyPorts                      []replyPortView

		Logs, IngressLogs                          []logChainView
		LogLimits, IngressLogLimits                []logLimit
		LogInput, LogOpened, LogForward, LogOutput *hookView
		LogRequests                                []*mapView

		Queues             []queueChain
		Queued, QueuedHere *hookView
		QueuesOpened       bool

		People   []clientSetView
		Counters []counter
		Denials  []denial
		Guards   []guardView
		Gates    []gateView

		Memories    []memory
		Limiters    []limiterView
		Excesses    []excessView
		Refuses     bool
		LimitGates  []gateView
		Limited     *hookView
		WatchesOpen bool
		StrictTCP   bool
	}{
		Prerouting:  hook("any", r.prerouting),
		Output:      hook("local-any", r.output),
		Postrouting: hook("", r.postrouting),
		NoBackend:   r.noBackend,
		Marks:       r.marks,
		Marking:     hook("", r.marking),
		MarksLocal:  r.marksLocal,
		Helpers:     r.helpers,
		Helped:      hook("helper-any", r.helped),
		Offloaded:   hook("", r.offloaded),
		Flows:       r.flows,

		Logs:             logChainViews(r.logs),
		IngressLogs:      logChainViews(r.ingressLogs),
		LogLimits:        r.logLimits,
		IngressLogLimits: r.ingressLogLimits,
		LogInput:         hook("log-any", r.logInput),
		LogOpened:        hook("log-local-any", r.logOpened),
		LogForward:       hook("", r.logForward),
		LogOutput:        hook("", r.logOutput),
		LogRequests:      views(r.logRequests),
		Memories:         r.memories,
		Queues:           r.queues,
		Queued:           hook("", r.queued),
		QueuedHere:       hook("queue-any", r.queuedHere),
		QueuesOpened:     r.queuesOpened,
		Refuses:          r.refuses,
		Limited:          hook("limits-any", r.limited),
		WatchesOpen:      r.watchesOpen,
		InterfaceSets:    r.interfaceSets(),
		StrictTCP:        slices.ContainsFunc(r.limiters, func(c *limiter) bool { return c.Flags != nil }),
	}
	for _, c := range r.marked {
		p.Marked = append(p.Marked, markedView{c, view{c.Family}})
	}
	for _, h := range []*hookView{p.Prerouting, p.Output} {
		if h != nil && h.Any != nil {
			p.AnyChains = append(p.AnyChains, h.Any)
		}
	}
	for _, f := range r.forwards {
		p.Forwards = append(p.Forwards, newForwardView(f))
	}
	for _, a := range r.attendances {
		p.Attendances = append(p.Attendances, newAttendanceView(a))
	}
	for _, in := range r.ingresses {
		if v := newIngressView(in); len(in.Devices) > 0 {
			p.Ingresses = append(p.Ingresses, v)
		} else {
			p.Raw = &v
		}
	}
	p.Translations, p.IngressTranslations = translationViews(r.translations), translationViews(r.ingressTranslations)
	p.Escorts, p.IngressEscorts = escortViews(r.escorts), escortViews(r.ingressEscorts)
	p.EscortHomes, p.IngressEscortHomes = escortHomeViews(r.escortHomes), escortHomeViews(r.ingressEscortHomes)
	for _, c := range r.ingressPicks {
		p.IngressPicks = append(p.IngressPicks, newChoiceView(c))
	}
	p.Replies, p.Originals = views(r.replies), views(r.originals)
	for _, c := range r.replyPorts {
		p.ReplyPorts = append(p.ReplyPorts, replyPortView{c, view{c.Family}})
	}
	for _, s := range r.people {
		p.People = append(p.People, clientSetView{s, view{s.Family}})
	}
	p.Counters = r.counters
	for _, c := range r.limiters {
		p.Limiters = append(p.Limiters, limiterView{c, view{c.Family}})
	}
	for _, x := range r.excesses {
		p.Excesses = append(p.Excesses, excessView{x, view{x.Family}})
	}
	for _, g := range r.limitGates {
		p.LimitGates = append(p.LimitGates, newGateView(g))
	}
	p.Denials = r.denials
	for _, g := range r.guards {
		p.Guards = append(p.Guards, newGuardView(g))
	}
	for _, g := range r.gates {
		p.Gates = append(p.Gates, newGateView(g))
	}
	for _, maps := range [][]*verdictMap{r.prerouting, r.output, r.postrouting, r.marking, r.helped, r.offloaded, r.queued, r.queuedHere, r.logInput, r.logOpened, r.logForward, r.logOutput, r.limited, r.relieved, r.relievedLocal} {
		for _, m := range maps {
			p.Verdicts = append(p.Verdicts, &mapView{m, view{m.Family}})
		}
	}
	p.Relieved, p.RelievedLocal = hook("relief-any", r.relieved), hook("relief-local-any", r.relievedLocal)
	for _, h := range []*hookView{p.Relieved, p.RelievedLocal} {
		if h != nil && h.Any != nil {
			p.AnyChains = append(p.AnyChains, h.Any)
		}
	}
	if len(r.counted) > 0 {
		p.Brims, p.Counts = &countedView{r.counted, "ct count over", 1}, &countedView{r.counted, "ct count", 0}
	}
	for _, c := range r.rings {
		p.Rings = append(p.Rings, ringView{c, view{c.Family}, c.origin})
	}
	for _, c := range r.reliefs {
		p.Reliefs = append(p.Reliefs, reliefView{c, view{c.Family}, c.origin})
	}
	for _, h := range r.homes {
		p.Homes = append(p.Homes, homeView{h, view{h.Family}, h.origin})
	}
	for _, c := range r.choices {
		p.Choices = append(p.Choices, newChoiceView(c))
	}
	for _, c := range r.sources {
		p.Sources = append(p.Sources, newSourceView(c))
	}
	return p
}

// A view is what all things of a family tell a template.
type view struct{ family Family }

// Header is nft's word for the family's header.
func (v view) Header() string { return v.family.IP() }

// IP is the version in the names of nft's types.
func (v view) IP() string { return [...]string{"4", "6"}[v.family] }

// Suffix is what names of the family end in.
func (v view) Suffix() string { return v.family.Suffix() }

type mapView struct {
	*verdictMap
	view
}

// Match is the protocols of the doors, as a rule compares them.
func (m *mapView) Match() string { return protocolMatch(m.Protocols) }

func (m *mapView) elements() []mapElement { return m.Elements }

// Form is the template of the map, after its level.
func (m *mapView) Form() string {
	if m.Chosen {
		return "chosen-" + levelNames[m.Level]
	}
	return levelNames[m.Level]
}

// Ask is the template of the rule that looks for a packet's destination.
func (m *mapView) Ask() string { return "ask-" + m.Form() }

// Recall is the template of the rule that looks for the destination that a connection had.
func (m *mapView) Recall() string { return "recall-" + m.Form() }

// Original is the template of a map of the addresses that replies get.
func (m *mapView) Original() string { return "original-" + m.Form() }

// From and To are the templates of what a packet comes from, and goes to, in the words of the map.
func (m *mapView) From() string { return "from-" + m.Form() }

// To is described at From.
func (m *mapView) To() string { return "to-" + m.Form() }

// Backends is the set of what a map of originals has as keys.
func (m *mapView) Backends() keysView {
	return keysView{strings.Replace(m.Name, "original-", "backend-", 1), m.Elements}
}

type keysView struct {
	Name string
	keys []mapElement
}

func (k keysView) elements() []mapElement {
	out := slices.Clone(k.keys)
	for i := range out {
		out[i].value = ""
	}
	return out
}

func views(maps []*verdictMap) []*mapView {
	out := make([]*mapView, len(maps))
	for i, m := range maps {
		out[i] = &mapView{m, view{m.Family}}
	}
	return out
}

// A hookView is a base chain and the chain for "*" that it leads to last.
type hookView struct {
	Maps []*mapView
	Any  *anyView
}

type anyView struct {
	Name string
	Maps []*mapView
}

// hook parts the maps for "*", which share one look at the kernel's routing, from the others; without a name for the
// chain of those, they are asked like all.
func hook(anyName string, maps []*verdictMap) *hookView {
	if len(maps) == 0 {
		return nil
	}
	h := &hookView{}
	for _, m := range maps {
		v := &mapView{m, view{m.Family}}
		if m.Level < anyPortLevel || anyName == "" {
			h.Maps = append(h.Maps, v)
			continue
		}
		if h.Any == nil {
			h.Any = &anyView{Name: anyName}
		}
		h.Any.Maps = append(h.Any.Maps, v)
	}
	return h
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

// entrance is the chain that a known client's connections go to.
func (c *choice) entrance() string {
	if c.Count != nil {
		return c.Count.Enter
	}
	return c.Home.Name
}

// An attendanceView is an attendance in nft's words.
type attendanceView struct {
	*attendance
	view
	Clientele *clienteleView
	Maps      []attendedView
	Picks     []attendedView // none if no backend serves
	Origin    *Origin
}

// An attendedView is a map of an attendance.
type attendedView struct {
	forwardStep
	forwardView
}

func (v attendedView) elements() []mapElement { return v.Map.Elements }

// Number is how many slots there are.
func (v attendedView) Number() int { return v.Map.Slots }

func newAttendanceView(a *attendance) attendanceView {
	v := attendanceView{attendance: a, view: view{a.Family}, Clientele: newClienteleView(a.Clientele, a.Home, a.origin), Origin: a.origin}
	as := newForwardView(&forward{Family: a.Family, Scheduler: a.Scheduler, HashOn: a.HashOn, origin: a.origin})
	for _, s := range a.Steps {
		v.Maps = append(v.Maps, attendedView{s, as})
	}
	if a.Slots != nil {
		v.Picks = []attendedView{{forwardStep{Map: a.Slots}, as}}
	}
	return v
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

// nftTime writes a duration, of whole milliseconds, as nft does.
func nftTime(d time.Duration) string {
	var out strings.Builder
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if n := d / unit.of; n > 0 {
			fmt.Fprintf(&out, "%d%s", n, unit.name)
			d -= n * unit.of
		}
	}
	return out.String()
}

type slotView struct {
	*slotMap
	view
	Keyed     string
	Scheduler Scheduler
	HashInput string
	Seed      string
	Protocol  Protocol
	Origin    *Origin
}

func (s slotView) elements() []mapElement { return s.Elements }

func (s slotView) pieces() []*piece { return s.Pieces }

// Number is how many slots there are.
func (s slotView) Number() int { return s.slotMap.Slots }

// keyings are their names in templates.
var keyings = [...]string{byDoor: "door", byAddress: "address", bySlot: ""}

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
			Origin:    c.origin,
		})
	}
	return out
}

// protocolMatch is one protocol as it is, which is quicker, or a set of them.
func protocolMatch(protocols []Protocol) string {
	if len(protocols) == 1 {
		return string(protocols[0])
	}
	words := make([]string, len(protocols))
	for i, p := range protocols {
		words[i] = string(p)
	}
	return "{ " + strings.Join(words, ", ") + " }"
}

type sourceView struct {
	*sourceChain
	view
	Address string
	Origin  *Origin
}

func (s sourceView) elements() []mapElement { return s.Elements }

func newSourceView(c *sourceChain) sourceView {
	out := sourceView{sourceChain: c, view: view{c.Family}, Origin: c.origin}
	if c.Address.IsValid() {
		out.Address = c.Address.String()
	}
	return out
}

type markedView struct {
	*markedChain
	view
}

func (m markedView) elements() []mapElement { return m.Elements }

// quotedList writes names of interfaces; they were validated, so there is nothing in them to escape.
func quotedList(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strconv.Quote(n)
	}
	return strings.Join(out, ", ")
}

type forwardView struct {
	*forward
	view
	Marked    bool // the number takes the way by the packet mark
	HashInput string
	Seed      string
	Origin    *Origin
}

func newForwardView(f *forward) forwardView {
	v := forwardView{forward: f, view: view{f.Family}, Seed: seed, Origin: f.origin}
	input := hashInput(f.HashOn, f.Family)
	if f.Quoted {
		input = quotedInput(f.HashOn, f.Family)
	}
	v.HashInput = strings.Join(input, " . ")
	v.Marked = f.marked()
	return v
}

// Form is the template of the doors in the keys of the forward's maps.
func (v forwardView) Form() string { return levelNames[v.Level] }

// To is the template of what a packet goes to, in the words of these maps.
func (v forwardView) To() string { return "to-" + v.Form() }

// Number is how many slots there are.
func (v forwardView) Number() int { return v.Steps[0].Map.Slots }

// Maps are the forward's maps, of IP addresses or of MAC addresses.
func (v forwardView) Maps() []stepView {
	out := make([]stepView, len(v.Steps))
	for i, s := range v.Steps {
		out[i] = stepView{s, v}
	}
	return out
}

type stepView struct {
	forwardStep
	forwardView
}

func (s stepView) elements() []mapElement { return s.Map.Elements }

type ingressView struct {
	Name                                string
	Devices                             []string
	Ports, Addresses, Fragments, Errors []*mapView
	Logs, LogPorts, LogAddresses        []*mapView
	Neighbours                          bool // neighbour discovery has to be let by
	Direct                              *directView
}

// Asks says whether the ingress asks anything but what it asks first.
func (v ingressView) Asks() bool {
	return len(v.Ports)+len(v.Addresses)+len(v.Fragments)+len(v.Errors)+len(v.Logs) > 0
}

func newIngressView(in *ingress) ingressView {
	v := ingressView{Name: in.Name, Devices: in.Devices, Fragments: views(in.Fragments), Errors: views(in.Errors)}
	for _, m := range views(in.Doors) {
		if m.Level == addressLevel {
			v.Addresses = append(v.Addresses, m)
			v.Neighbours = v.Neighbours || m.Family == IP6
		} else {
			v.Ports = append(v.Ports, m)
		}
	}
	v.Direct = newDirectView(in.direct)
	v.Logs = views(in.Logs)
	for _, m := range v.Logs {
		if m.Level == addressLevel {
			v.LogAddresses = append(v.LogAddresses, m)
		} else {
			v.LogPorts = append(v.LogPorts, m)
		}
	}
	return v
}

type replyPortView struct {
	replyPort
	view
}

// A directView is what an ingress asks first.
type directView struct {
	Forwards     []forwardView
	Translations []translationView
}

func newDirectView(d direct) *directView {
	if d.none() {
		return nil
	}
	v := &directView{Translations: translationViews(d.Translations)}
	for _, f := range d.Forwards {
		v.Forwards = append(v.Forwards, newForwardView(f))
	}
	return v
}

type translationView struct {
	Name  string
	Unled bool
	Views []translationStepView
}

type translationStepView struct {
	translationStep
	view
	Shared    bool
	Level     level
	Scheduler Scheduler
	HashInput string
	Seed      string
	Origin    *Origin
}

// Number is how many slots there are.
func (v translationStepView) Number() int { return v.Map.Slots }

// To is the template of what a packet goes to, in the words of the map.
func (v translationStepView) To() string { return "to-" + levelNames[v.Level] }

func (v translationStepView) elements() []mapElement { return v.Map.Elements }

// Maps are those of the steps, once each: steps for several protocols share one.
func (v translationView) Maps() []translationStepView {
	return slices.CompactFunc(slices.SortedStableFunc(slices.Values(v.Views), func(a, b translationStepView) int {
		return strings.Compare(a.Map.Name, b.Map.Name)
	}), func(a, b translationStepView) bool { return a.Map == b.Map })
}

func translationViews(all []*translation) []translationView {
	out := make([]translationView, len(all))
	for i, t := range all {
		out[i].Name, out[i].Unled = t.Name, t.Unled
		for _, s := range t.Steps {
			out[i].Views = append(out[i].Views, translationStepView{s, view{t.Family}, t.Shared, t.Level, t.Scheduler,
				strings.Join(hashInput(t.HashOn, t.Family), " . "), seed, t.origin})
		}
	}
	return out
}

type clientSetView struct {
	clientSet
	view
}

// Room is the size of the set's hash table.
func (v clientSetView) Room() int { return roomFor(len(v.Firsts)) }

type guardView struct {
	*guard
	view
	Views  []guardStepView
	Origin *Origin
}

type guardStepView struct {
	guardStep
	clientsView
}

func newGuardView(g *guard) guardView {
	v := guardView{guard: g, view: view{g.Family}, Origin: g.origin}
	for _, s := range g.Steps {
		v.Views = append(v.Views, guardStepView{s, clientsView{s.Who, view{g.Family}}})
	}
	return v
}

type clientsView struct {
	clients
	view
}

// Mask is what of an address tells its network, "" if all of it does.
func (v clientsView) Mask() string {
	width := v.clients.Family.width()
	if v.Length == width {
		return ""
	}
	ones := power(width - 1).minus(number{0, 1}).plus(power(width - 1))
	return ones.minus(power(width - v.Length)).plus(number{0, 1}).address(v.clients.Family).String()
}

type gateView struct {
	*gate
	Ports, Fragments, Addresses []*mapView
	Any                         *anyView
}

func newGateView(g *gate) gateView {
	h := hook(g.Name+"-any", g.Doors)
	v := gateView{gate: g, Fragments: views(g.Fragments), Any: h.Any}
	for _, m := range h.Maps {
		if m.Level == addressLevel {
			v.Addresses = append(v.Addresses, m)
		} else {
			v.Ports = append(v.Ports, m)
		}
	}
	return v
}

// All are all maps that the gate asks.
func (v gateView) All() []*mapView { return append(views(v.Doors), v.Fragments...) }
