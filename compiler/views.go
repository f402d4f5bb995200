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
		Loops                           bool
		Invalid                         *invalidView

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
		Invalid:     newInvalidView(r),

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
	p.Loops = p.Raw != nil && slices.ContainsFunc(p.Originals, (*mapView).OfDatagrams)
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
	for _, maps := range [][]*verdictMap{r.prerouting, r.output, r.postrouting, r.marking, r.helped, r.offloaded, r.invalidTo, r.invalidBack, r.invalidForward, r.queued, r.queuedHere, r.logInput, r.logOpened, r.logForward, r.logOutput, r.limited, r.relieved, r.relievedLocal} {
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

// stand is where what stands for a backend is: in the packet mark, or in the packet as its destination.
func (v view) stand(marked bool) string {
	if marked {
		return "meta mark"
	}
	return v.Header() + " daddr"
}

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
	switch {
	case m.Chosen:
		return "chosen-" + levelNames[m.Level]
	case m.Compares():
		return "compared-" + levelNames[m.Level]
	}
	return levelNames[m.Level]
}

// Compares says whether rules compare the ports before they ask.
func (m *mapView) Compares() bool { return m.Compared != Ports{} }

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

// OfDatagrams says whether what the map tells can be UDP.
func (m *mapView) OfDatagrams() bool {
	return m.Level == addressLevel || slices.Contains(m.Protocols, UDP)
}

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

// partByPorts parts the maps that look at ports, which are asked first, from those of whole addresses.
func partByPorts(maps []*mapView) (ports, addresses []*mapView) {
	for _, m := range maps {
		if m.Level == addressLevel {
			addresses = append(addresses, m)
		} else {
			ports = append(ports, m)
		}
	}
	return ports, addresses
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

// quotedList writes names of interfaces; they were validated, so there is nothing in them to escape.
func quotedList(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strconv.Quote(n)
	}
	return strings.Join(out, ", ")
}
