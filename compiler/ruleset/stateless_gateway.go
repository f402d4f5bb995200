package ruleset

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/farm"
	"farmc/compiler/slots"
)

// Replies of a stateless farm with a gateway are rewritten at the ingress of the backends' interfaces, and handed on
// to the next hop of their client: they skip routing, connection tracking and forward filters, as requests do. Replies
// of one kind come from one port and go to one next hop, so they share rules. Where the replies are of few kinds the
// base chain has the rules itself, else it looks up the kind first. The slow path serves all other replies: see
// slow_path.go.

// A gatewayReplies is the base chain of replies at the ingress of interfaces.
type gatewayReplies struct {
	Devices []string
	Rules   []replyRules   // of kinds that are asked directly, by family
	Maps    []*dispatchMap // from the sources of replies to the chains of other kinds

	forwards []string // the interfaces that replies leave by
}

// A replyKind is replies of one family that leave from one port, to the same next hops.
type replyKind struct {
	Family  addr.Family
	Device  string
	Port    uint16 // that clients expect; 0: the one that the reply comes from
	Hops    []farm.Gateway
	Steps   []*replyStep
	sources []frontend // of replies, for the map that leads to the chain
	part    string     // of names
}

// A replyStep is the replies of one protocol, with the map from their sources to the addresses of services.
type replyStep struct {
	*object
	Family   addr.Family
	Protocol farm.Protocol
}

// A replyRule is the rule of a step, for one next hop.
type replyRule struct {
	Family   addr.Family
	Protocol farm.Protocol
	Map      string
	Port     uint16 // 0: the reply keeps its port
	Device   string
	Hop      netip.Addr // not valid: the client
	Own      ownAddresses
}

// A replyRules is the rules for replies of one family in a chain.
type replyRules struct {
	Leaves leftAddresses // of IPv6, come first: rules of IPv4 compare these addresses themselves
	Rules  []replyRule
}

// A replyNetworks is a chain that finds the next hop by the network of the client.
type replyNetworks struct {
	Family addr.Family
	Map    string
}

// gatewayReplies hands on the replies of farms with a gateway.
func (l *linker) gatewayReplies(served []frontend) {
	kinds, devices := map[string]*replyKind{}, map[string]bool{}
	for _, d := range served {
		if d.farm.Mode == farm.Stateless && len(d.farm.devices()) > 0 {
			l.addReplies(kinds, devices, d)
		}
	}
	if len(kinds) == 0 {
		return
	}
	r := &gatewayReplies{Devices: slices.Sorted(maps.Keys(devices))}
	for _, family := range addr.Families {
		l.addReplyKinds(r, kindsOf(kinds, family))
	}
	name := "gateway/" + shortened(r.Devices, maxInterfacesName)
	l.rules.add(newChain(name, gatewaySection, "gateway").at(Netdev).with(r))
}

// kindsOf gives the kinds of a family, by name.
func kindsOf(kinds map[string]*replyKind, family addr.Family) (out []*replyKind) {
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		if kinds[name].Family == family {
			out = append(out, kinds[name])
		}
	}
	return out
}

// addReplies adds the replies to the frontend's requests that rules at ingress can tell: of single ports.
func (l *linker) addReplies(kinds map[string]*replyKind, devices map[string]bool, d frontend) {
	hops := d.farm.GatewaysOf(d.Family)
	if len(hops) == 0 {
		return
	}
	for _, r := range d.Replies() {
		if device := d.farm.InterfaceOf(*r.Backend); r.Ports.Single() && !r.Backend.CutOff() {
			devices[device] = true
			l.addReply(kinds, d, reply{r, &d}, hops)
		}
	}
}

// addReply adds a reply to its kind.
func (l *linker) addReply(kinds map[string]*replyKind, d frontend, r reply, hops []farm.Gateway) {
	device := d.farm.devices()[0]
	part := fmt.Sprintf("%d-%s/%s/%s", r.Port, d.Family.Suffix(), device, hopsName(hops))
	if r.Port == 0 {
		part = "same" + strings.TrimPrefix(part, "0")
	}
	k := kinds[part]
	if k == nil {
		k = &replyKind{Family: d.Family, Device: device, Port: r.Port, Hops: hops, part: part}
		kinds[part] = k
	}
	from := r.from()
	k.sources = append(k.sources, from)
	key := fmt.Sprintf("host . %s . %s", from.Address, from.Ports)
	l.replyStep(k, d).elements.add(element{key: key, value: d.Address.String(), origin: d.origin(), commented: true})
}

// replyStep gives the step of the frontend's protocol.
func (l *linker) replyStep(k *replyKind, d frontend) *replyStep {
	o := newMap("gateway-"+string(d.Protocol)+"-"+k.part, gatewaySection, "gateway-originals").at(Netdev)
	return obtain(&l.rules, o, func() *replyStep {
		s := &replyStep{o, d.Family, d.Protocol}
		k.Steps = append(k.Steps, s)
		return s
	})
}

// hopsName names next hops: the one for all clients, or a hash of several.
func hopsName(hops []farm.Gateway) string {
	if one := hops[0]; len(hops) == 1 && one.Network.Bits() == 0 {
		return hopName(one)
	}
	words := make([]string, len(hops))
	for i, h := range hops {
		words[i] = h.String()
	}
	return fmt.Sprintf("networks-%016x", slots.Hash64(strings.Join(words, " ")))
}

// hopName is a next hop as part of a name.
func hopName(h farm.Gateway) string {
	if h.Address.IsValid() {
		return addressName(h.Address)
	}
	return h.NextHop()
}

// one reports whether the kind has one next hop, for all clients.
func (k *replyKind) one() bool { return len(k.Hops) == 1 && k.Hops[0].Network.Bits() == 0 }

// addReplyKinds adds the rules of the kinds of one family.
func (l *linker) addReplyKinds(r *gatewayReplies, kinds []*replyKind) {
	for _, k := range kinds {
		r.forwards = append(r.forwards, k.Device)
	}
	if len(kinds) <= maxAskedFirst && !slices.ContainsFunc(kinds, func(k *replyKind) bool { return !k.one() }) {
		l.addReplyRules(r, kinds)
		return
	}
	for _, k := range kinds {
		v := goTo(l.replyChain(k))
		for _, from := range k.sources {
			l.addTo(&r.Maps, mapPlace{Netdev, gatewaySection, "gateway/", ""}, from, string(v))
		}
	}
}

// addReplyRules adds the rules of the kinds of one family to the base chain itself.
func (l *linker) addReplyRules(r *gatewayReplies, kinds []*replyKind) {
	var rules []replyRule
	for _, k := range kinds {
		rules = append(rules, k.rulesTo(k.Hops[0])...)
	}
	if len(rules) > 0 {
		r.Rules = append(r.Rules, l.replyRules(kinds[0].Family, rules))
	}
}

// replyChain gives the chain of a kind.
func (l *linker) replyChain(k *replyKind) string {
	name := "gateway-" + k.part
	if k.one() {
		l.addReplyHop(name, k, k.Hops[0])
		return name
	}
	networks := newMap(name+"/networks", gatewaySection, "gateway-networks").at(Netdev).with(k)
	for _, h := range k.Hops {
		l.addReplyHop(name+"/"+hopName(h), k, h)
	}
	for _, n := range longestPrefixes(k.Hops) {
		networks.elements.add(element{key: n.text, value: string(goTo(name + "/" + hopName(n.hop)))})
	}
	l.rules.add(networks)
	l.rules.add(newChain(name, gatewaySection, "gateway-by-network").at(Netdev).
		with(replyNetworks{k.Family, networks.Name}))
	return name
}

// addReplyHop adds the chain of a kind for one next hop.
func (l *linker) addReplyHop(name string, k *replyKind, hop farm.Gateway) {
	l.rules.add(newChain(name, gatewaySection, "gateway-rules").at(Netdev).with(l.replyRules(k.Family, k.rulesTo(hop))))
}

// rulesTo gives the rules of a kind for one next hop. They do not know yet which replies to leave alone.
func (k *replyKind) rulesTo(hop farm.Gateway) (out []replyRule) {
	for _, s := range k.Steps {
		out = append(out, replyRule{Family: k.Family, Protocol: s.Protocol, Map: s.Name, Port: k.Port, Device: k.Device,
			Hop: hop.Address})
	}
	return out
}

// replyRules gives the rules of one family in a chain, which leave replies to this machine alone.
func (l *linker) replyRules(family addr.Family, rules []replyRule) (out replyRules) {
	own := l.ownAddresses(Netdev, family)
	if family == addr.IP6 && own.Known {
		out.Leaves, own = l.leave(own), ownAddresses{Known: true}
	}
	for _, r := range rules {
		r.Own = own
		out.Rules = append(out.Rules, r)
	}
	return out
}

// A hopRange is a range of clients with one next hop.
type hopRange struct {
	text string // as nft writes it
	hop  farm.Gateway
}

// longestPrefixes gives the networks as ranges that do not overlap, each with the next hop of the smallest network that
// has it. An interval map of nft takes no overlapping networks.
func longestPrefixes(hops []farm.Gateway) (out []hopRange) {
	var begins []netip.Addr
	for _, h := range hops {
		begins = append(begins, h.Network.Addr())
		if after := addr.Last(h.Network).Next(); after.IsValid() {
			begins = append(begins, after)
		}
	}
	slices.SortFunc(begins, netip.Addr.Compare)
	begins = slices.Compact(begins)
	for i, first := range begins {
		hop, ok := smallestNetwork(hops, first)
		if !ok {
			continue
		}
		last := addr.Last(hop.Network)
		if i+1 < len(begins) && begins[i+1].Compare(last) <= 0 {
			last = begins[i+1].Prev()
		}
		out = append(out, hopRange{rangeText(first, last), hop})
	}
	return out
}

// smallestNetwork gives the smallest network that has an address.
func smallestNetwork(hops []farm.Gateway, a netip.Addr) (out farm.Gateway, ok bool) {
	for _, h := range hops {
		if h.Network.Contains(a) && (!ok || h.Network.Bits() > out.Network.Bits()) {
			out, ok = h, true
		}
	}
	return out, ok
}

func rangeText(first, last netip.Addr) string {
	if first == last {
		return first.String()
	}
	return first.String() + "-" + last.String()
}
