package ruleset

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
)

// Replies of stateless farms get the address and port of their service back as they leave. A map leads from the address
// and port of a backend to the one service that its replies belong to.

// A replyMaps is the maps of the base chains that replies pass.
type replyMaps struct {
	Direct    []directReply    // the rules for replies of few kinds; none: the replies are looked up in the other maps
	Sources   []directSource   // of replies of few kinds
	Untracked []untrackedReply // the sets of the sources of replies, in the order of Originals

	Originals []*dispatchMap // from backends to the addresses of services
	Ports     []*dispatchMap // from backends to the chains that rewrite the port, too
	Loops     bool           // datagrams that two services would answer for ever are dropped
	Forged    bool           // segments that open a connection from an address of this machine are dropped
	Requests  bool           // requests come untracked from another chain
}

// rewriteReplies has the replies of stateless farms come from the service again.
func (l *linker) rewriteReplies(served []frontend) {
	var all []reply
	for i := range served {
		if d := &served[i]; d.farm.Mode == farm.Stateless {
			for _, r := range d.Replies() {
				all = append(all, reply{r, d})
			}
		}
	}
	if len(all) == 0 {
		return
	}
	m := l.replyMaps(all)
	l.addReplyChains(m, "stateless-untracked", "stateless-untracked-output")
	switch {
	case len(m.Direct) == 0:
		l.addReplyChains(m, "stateless-opened", "stateless-replies")
	case m.OpensTCP():
		l.addReplyChains(m, "stateless-opening")
		fallthrough
	default:
		l.rules.add(newChain("stateless-replies", statelessReplySection, "stateless-replies-direct").with(m))
	}
	m.Requests = l.takesInPrerouting()
	m.Loops = l.takesInPrerouting() && slices.ContainsFunc(m.Originals, (*dispatchMap).OfDatagrams)
	m.Forged = l.takesInPrerouting() && slices.ContainsFunc(m.Originals, (*dispatchMap).OfTCP)
	if m.Loops {
		l.addReplyChains(m, "stateless-loops", "stateless-loops-to")
	}
}

// replyMaps gives the maps of the replies, in the order in which they are asked: of ranges, the range of most replies
// is asked first.
func (l *linker) replyMaps(all []reply) *replyMaps {
	m, compared := &replyMaps{}, comparedRanges(all)
	if fewReplyKinds(all) {
		l.addDirect(m, all)
	}
	for _, r := range all {
		from := r.from()
		from.compared = from.Specificity == farm.PortRange && r.Port == 0 && slices.Contains(compared, r.Ports)
		l.rewriteReply(m, r, from)
	}
	slices.SortFunc(m.Originals, func(a, b *dispatchMap) int {
		return cmp.Or(cmp.Compare(a.Specificity, b.Specificity), cmp.Compare(a.Family, b.Family),
			cmp.Compare(b.elements.size(), a.elements.size()), cmp.Compare(a.Name, b.Name))
	})
	for _, o := range m.Originals {
		l.backendSet(o)
		m.Untracked = append(m.Untracked, untrackedReply{o, l.ownAddresses(Inet, o.Family)})
		if len(m.Direct) > 0 {
			l.rules.remove(o.object)
		}
	}
	return m
}

// An untrackedReply is a set of sources of replies, which are not tracked.
type untrackedReply struct {
	*dispatchMap
	Own ownAddresses // replies to these are tracked
}

// A directReply is a rule for the replies of one protocol that leave from one port.
type directReply struct {
	*object
	Family   addr.Family
	Protocol farm.Protocol
	Port     uint16 // 0: the one that the reply comes from
}

// A directSource is the set of the sources of replies of one protocol, where the replies are of few kinds.
type directSource struct {
	*object
	Family   addr.Family
	Protocol farm.Protocol
	Own      ownAddresses // replies to these are tracked
}

// fewReplyKinds reports whether all replies come from single ports, and leave from few. Then postrouting asks a map for
// each kind at once, which costs a reply a third of the way by a map of kinds and a chain.
func fewReplyKinds(all []reply) bool {
	ports := [len(addr.Families)]map[uint16]bool{{}, {}}
	for _, r := range all {
		if !r.Ports.Single() || r.to.Portless() {
			return false
		}
		ports[r.to.Family][r.Port] = true
	}
	return len(ports[addr.IP4]) <= maxAskedFirst && len(ports[addr.IP6]) <= maxAskedFirst
}

// addDirect adds the maps of replies of few kinds.
func (l *linker) addDirect(m *replyMaps, all []reply) {
	for _, r := range all {
		port := "same"
		if r.Port != 0 {
			port = strconv.Itoa(int(r.Port))
		}
		name := fmt.Sprintf("original-%s-%s-%s", port, r.to.Protocol, r.to.Family.Suffix())
		o := newMap(name, statelessReplySection, "original-direct")
		direct := obtain(&l.rules, o, func() directReply {
			m.Direct = append(m.Direct, directReply{o, r.to.Family, r.to.Protocol, r.Port})
			return m.Direct[len(m.Direct)-1]
		})
		key := fmt.Sprintf("%s . %s", r.Address, r.Ports)
		direct.elements.add(element{key: key, value: r.to.Address.String(), origin: r.to.origin(), commented: true})
		l.directSource(m, r).elements.addOnce(element{key: key, origin: r.to.origin(), commented: true})
	}
	slices.SortFunc(m.Sources, func(a, b directSource) int {
		return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(a.Name, b.Name))
	})
	slices.SortFunc(m.Direct, func(a, b directReply) int {
		return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(a.Name, b.Name))
	})
}

// directSource gives the set of the sources of replies by the protocol of one.
func (l *linker) directSource(m *replyMaps, r reply) directSource {
	o := newSet(fmt.Sprintf("backend-%s-%s", r.to.Protocol, r.to.Family.Suffix()), statelessReplySection,
		"backend-direct")
	return obtain(&l.rules, o, func() directSource {
		m.Sources = append(m.Sources, directSource{o, r.to.Family, r.to.Protocol,
			l.ownAddresses(Inet, r.to.Family)})
		return m.Sources[len(m.Sources)-1]
	})
}

// OpensTCP reports whether replies of few kinds open connections.
func (m *replyMaps) OpensTCP() bool {
	return slices.ContainsFunc(m.Direct, func(d directReply) bool { return d.Protocol == farm.TCP })
}

// joinUntracked removes the chain that lets replies pass untracked, as the chain of requests does so, and adds the one
// of its parts that requests go to.
func (l *linker) joinUntracked(m *replyMaps) {
	delete(l.rules.objects, objectID{Inet, KindChain, "stateless-untracked"})
	if m.Forged {
		l.addReplyChains(m, "stateless-forged")
	}
}

// takesInPrerouting reports whether a farm without connection tracking takes its packets in prerouting.
func (l *linker) takesInPrerouting() bool {
	return slices.ContainsFunc(l.ingresses, (*ingress).prerouting)
}

// addReplyChains adds chains that are named like their templates.
func (l *linker) addReplyChains(m *replyMaps, names ...string) {
	for _, name := range names {
		l.rules.add(newChain(name, statelessReplySection, name).with(m))
	}
}

// A reply is a reply to the requests of a frontend.
type reply struct {
	farm.Reply
	to *frontend
}

// from is the backend as a frontend.
func (r reply) from() frontend {
	d := *r.to
	d.Frontend = r.Source()
	return d
}

// maxComparedRanges is the number of port ranges that rules compare. Each costs a packet that gets to it some 190
// instructions, in two hooks. The other ranges are intervals in keys. The kernel loads n intervals in n² time, and a
// packet looks through all of them: that costs 500 instructions more than a hash for two backends, 15,000 more for 400.
const maxComparedRanges = 8

// comparedRanges gives the ranges of most replies.
func comparedRanges(all []reply) []farm.Ports {
	replies := map[farm.Ports]int{}
	for _, r := range all {
		if r.to.Specificity == farm.PortRange && r.Port == 0 { // moved ranges are intervals
			replies[r.Ports]++
		}
	}
	ranges := slices.SortedFunc(maps.Keys(replies), func(a, b farm.Ports) int {
		return cmp.Or(cmp.Compare(replies[b], replies[a]), cmp.Compare(a.First, b.First), cmp.Compare(a.Last, b.Last))
	})
	return ranges[:min(maxComparedRanges, len(ranges))]
}

func (l *linker) rewriteReply(m *replyMaps, r reply, from frontend) {
	at := mapPlace{Inet, statelessReplySection, "original-", "original-"}
	originals := l.addTo(&m.Originals, at, from, r.to.Address.String())
	if r.Port == 0 || len(m.Direct) > 0 {
		originals.Final = true
		return
	}
	c := replyPort{Family: r.to.Family, Originals: originals.Name, Port: r.Port}
	name := fmt.Sprintf("reply-%d-%s", r.Port, r.to.Family.Suffix())
	if !r.Ports.Single() {
		last := r.Port + uint16(r.Ports.Count()-1)
		c.PortMap = l.portRun(*r.to, Inet, r.Ports, farm.Ports{First: r.Port, Last: last})
		name = fmt.Sprintf("reply-%s/%d-%s", r.Ports, r.Port, r.to.Family.Suffix())
	}
	l.rules.add(newChain(name, statelessReplySection, "reply-port").with(c))
	l.addTo(&m.Ports, mapPlace{Inet, statelessReplySection, "reply-", ""}, from, string(goTo(name)))
}

// A replyPort is the chain of the replies that are to come from one port, or from one range.
type replyPort struct {
	Family    addr.Family
	Originals string // the map of the addresses of their services
	Port      uint16
	PortMap   string // from the ports of the backends to those of the service; "": there is one port
}

// backendSet adds the set of the keys of a map: kernel 6.1 takes no map for a set.
func (l *linker) backendSet(of *dispatchMap) {
	o := newSet(of.BackendSet(), statelessReplySection, "backend-"+of.Form())
	obtain(&l.rules, o, func() *dispatchMap {
		set := *of
		set.object = o
		o.elements.single = slices.Clone(of.elements.single)
		for i := range o.elements.single {
			o.elements.single[i].value, o.elements.single[i].line = "", ""
		}
		return &set
	})
}

// OfDatagrams reports whether frontends of the map take UDP.
func (m *dispatchMap) OfDatagrams() bool {
	return m.whole() || slices.Contains(m.Protocols, farm.UDP)
}

// OfTCP reports whether frontends of the map take TCP.
func (m *dispatchMap) OfTCP() bool {
	return m.whole() || slices.Contains(m.Protocols, farm.TCP)
}

// BackendSet is the name of the set of the map's keys.
func (m *dispatchMap) BackendSet() string { return "backend-" + m.Name[len("original-"):] }
