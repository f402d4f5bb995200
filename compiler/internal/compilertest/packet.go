package compilertest

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// An interpreter of scripts, as far as the modes snat and dnat need it.

// The rules that decide about it.
var (
	ignoredRules = lineForms(
		`		ct state new`,
		`		type nat hook .*`,
		`		ct status & dnat != dnat (?:return|goto NAME)`,
	)
	loopback = lineForms(`		ip daddr 127\.0\.0\.0/8 return`, `		ip6 daddr ::1 return`)
	isLocal  = lineForm(`		fib daddr type local goto (NAME)`)
	askFirst = lineForm(`		(meta l4proto tcp )?jump (NAME)`)

	dispatchPort       = lineForm(`		meta l4proto \. (?P<version>IP) daddrPREFIX \. th dport vmap @(?P<map>NAME)`)
	dispatchAddress    = lineForm(`		(?P<version>IP) daddrPREFIX vmap @(?P<map>NAME)`)
	dispatchAnyAddress = lineForm(`		meta nfproto (?P<version>IPV) meta l4proto \. th dport vmap @(?P<map>NAME)`)

	sourceNATPort = lineForm(
		`		meta l4proto (?P<protocols>PROTOS) meta l4proto \. ct original (?P<version>IP) daddrPREFIX \. ct ` +
			`original proto-dst vmap @(?P<map>NAME)`,
	)
	sourceNATAddress    = lineForm(`		ct original (?P<version>IP) daddrPREFIX vmap @(?P<map>NAME)`)
	sourceNATAnyAddress = lineForm(
		`		meta l4proto (?P<protocols>PROTOS) meta l4proto \. ct original proto-dst \. (?P<version>IP) daddr ` +
			`vmap @(?P<map>NAME)`,
	)

	onlyInside   = lineForm(`		iif != 0 iifname != (INSIDE) return`)
	gotoRule     = lineForm(`		goto (NAME)`)
	markRule     = lineForm(`		ct mark set (HEX|ct mark & HEX \| HEX)`)
	dnatRule     = lineForm(`		(?:meta l4proto (PROTO) )?dnat (IP) to ((?:FRONTEND \. )?)NUMBER map @(NAME)`)
	pickRule     = lineForm(`		IP daddr set (?P<frontend>(?:FRONTEND \. )?)NUMBER map @(?P<map>NAME)`)
	stickyLookup = lineForm(
		`		IP daddr set (?P<client>CLIENT) map @(?P<in>NAME) (?:update @NAME { CLIENT : IP daddr } )?` +
			`(?:jump (?P<target>NAME)|(?P<direct>(?:meta l4proto PROTO )?dnat IP to IP daddr map @NAME))`,
	)
	jumpRule   = lineForm(`		jump (?P<chain>NAME)`)
	targetRule = lineForm(
		`		(?:meta l4proto (?P<protocol>PROTO) )?(?:th dport { (?P<only>PORTS(?:, PORTS)*) } )?` +
			`dnat IP to (?P<frontend>(?:ASKED \. )?)IP daddr map @(?P<map>NAME)(?: : th dport map @(?P<ports>NAME))?`,
	)
	timeoutRule = lineForm(`		ct timeout set "NAME"`)
	limitRules  = lineForms(
		`		BACKENDID @full-backends jump NAME`,
		`		BACKENDID @backend-brims update @full-backends { BACKENDID }`,
		`		BACKENDID @backend-counts`,
	)
	stickyInsert = lineForms(
		`		(?:update|delete) @NAME { CLIENT : IP daddr }`,
		`		IP daddr set ct original IP daddr`,
		`		IP daddr set CLIENT map @NAME`,
	)
	ownSources = lineForm(`		snat IP to IP daddr (?:\. numgen random mod ([0-9]+) )?` +
		`map @(NAME)(?: fully-random)?`)
	poolRule    = lineForm(`		snat IP to numgen random mod ([0-9]+) map @(NAME)(?: fully-random)?`)
	hairpinRule = lineForm(`		IP saddr ((?:IP4|IP6)/[0-9]+) goto (NAME)`)
	oneSource   = lineForm(`		(?:snat IP to (IP4|IP6)|masquerade)(?: fully-random)?`)
)

// A Packet opens a connection.
type Packet struct {
	protocol string // tcp, udp, or one that has no ports
	Address  netip.Addr
	port     int
	ours     bool       // the address is this machine's
	fromHere bool       // this machine sends it
	Inside   string     // the interface that it comes in by, if not
	backend  netip.Addr // once it is chosen

	client netip.Addr     // its client
	known  netip.AddrPort // the backend that the client was with before, if any; port 0: as asked for
}

func (p Packet) String() string {
	return fmt.Sprintf("%s %s port %d, ours %t, from here %t", p.protocol, p.Address, p.port, p.ours, p.fromHere)
}

// An Outcome is the result of a connection.
type Outcome struct {
	Refused bool
	Mark    string                     // the mark of the connection, in the words of a rule
	Shares  map[netip.AddrPort]float64 // by backend, in all 1; none: the packet is let through
	Sources map[netip.AddrPort]string  // an address, "masquerade", or "" for the client's own
}

func (o Outcome) String() string {
	var all []string
	for to, share := range o.Shares {
		all = append(all, fmt.Sprintf("%s %.4f from %q", to, share, o.Sources[to]))
	}
	slices.Sort(all)
	return fmt.Sprintf("{refused %t, to %s}", o.Refused, strings.Join(all, ", "))
}

// Outcome follows the packet through the hooks.
func (r *reading) Outcome(t testing.TB, p Packet) Outcome {
	t.Helper()
	hook := "prerouting"
	if p.fromHere {
		hook = "output"
	}
	chain := r.walk(t, hook, p)
	switch chain {
	case "", "accept":
		return Outcome{}
	case "no-backend":
		return Outcome{Refused: true}
	}
	out := Outcome{Shares: map[netip.AddrPort]float64{}, Sources: map[netip.AddrPort]string{}}
	r.pick(t, chain, p, &out)
	for to := range out.Shares {
		p.backend = to.Addr()
		out.Sources[to] = r.source(t, r.walk(t, "postrouting", p), to, p.client)
	}
	return out
}

// walk gives the chain, or accept, that the packet is sent to from a base chain; "" if to none.
func (r *reading) walk(t testing.TB, chain string, p Packet) string {
	t.Helper()
	for _, rule := range r.Chains[chain] {
		if loopback.MatchString(rule) {
			if p.Address.IsLoopback() && p.Address.Is4() == strings.Contains(rule, "127") {
				return ""
			}
			continue
		}
		if at := isLocal.FindStringSubmatch(rule); at != nil {
			if p.ours {
				return r.walk(t, at[1], p)
			}
			continue
		}
		if at := askFirst.FindStringSubmatch(rule); at != nil {
			if r.holds(at[2], p) && (at[1] == "" || p.protocol == "tcp") {
				return at[2]
			}
			continue
		}
		if verdict := r.dispatched(t, chain, rule, p); verdict != "" {
			return strings.TrimPrefix(verdict, "goto ")
		}
	}
	return ""
}

// holds reports whether the map of a pick that is asked first has the packet's frontend.
func (r *reading) holds(pick string, p Packet) bool {
	for _, rule := range r.Chains[pick] {
		at := dnatRule.FindStringSubmatch(rule)
		if at != nil && len(r.frontendElements(at[6], frontendKey(at[3], p))) > 0 {
			return true
		}
	}
	return false
}

// asked gives the verdict of a rule that asks a map: by the packet's destination before the backend is chosen, and by
// the original destination afterwards.
func (r *reading) dispatched(t testing.TB, chain, rule string, p Packet) string {
	t.Helper()
	port, whole, every := dispatchPort, dispatchAddress, dispatchAnyAddress
	if chain == "postrouting" {
		port, whole, every = sourceNATPort, sourceNATAddress, sourceNATAnyAddress
	}
	asked := maskedBy(rule, p.Address)
	as, key, ported := port, fmt.Sprintf("%s . %s . %d", p.protocol, asked, p.port), true
	switch {
	case ignoredRules.MatchString(rule):
		return ""
	case port.MatchString(rule):
	case whole.MatchString(rule):
		as, key, ported = whole, asked.String(), false
	case every.MatchString(rule):
		as, key = every, fmt.Sprintf("%s . %d", p.protocol, p.port)
		if p.backend.IsValid() {
			key += " . " + p.backend.String()
		}
	default:
		t.Fatalf("not a rule for %s: %s", chain, rule)
	}
	part := as.FindStringSubmatch(rule)
	if at := as.SubexpIndex("protocols"); at > 0 &&
		!slices.Contains(strings.FieldsFunc(part[at], isBracket), p.protocol) ||
		ported && !slices.Contains([]string{"tcp", "udp", "sctp"}, p.protocol) ||
		strings.HasSuffix(part[as.SubexpIndex("version")], "6") != p.Address.Is6() {
		return ""
	}
	e, _ := r.find(t, part[as.SubexpIndex("map")], key)
	return e.Value
}

// mask is a mask behind the address that a rule looks up.
var mask = regexp.MustCompile(` daddr & ([0-9a-f.:]+)`)

// maskedBy gives the part of an address that a rule looks up.
func maskedBy(rule string, a netip.Addr) netip.Addr {
	found := mask.FindStringSubmatch(rule)
	if found == nil {
		return a
	}
	of, out := netip.MustParseAddr(found[1]).AsSlice(), a.AsSlice()
	if len(of) != len(out) { // a rule of the other family
		return a
	}
	for i := range out {
		out[i] &= of[i]
	}
	masked, _ := netip.AddrFromSlice(out)
	return masked
}

func isBracket(r rune) bool { return strings.ContainsRune("{}, ", r) }

// find looks up a key.
func (r *reading) find(t testing.TB, name, key string) (readElement, bool) {
	t.Helper()
	m := r.Maps[name]
	if m == nil {
		t.Fatalf("there is no map %s", name)
		return readElement{}, false
	}
	e, ok := m.ByKey[key]
	if m.interval && !ok {
		at := slices.IndexFunc(m.Elements, func(e readElement) bool { return within(key, e.Key) })
		if ok = at >= 0; ok {
			e = m.Elements[at]
		}
	}
	return e, ok
}

// within says whether a key is in an interval: part by part the same, or a port in a range.
func within(key, interval string) bool {
	parts, in := strings.Split(key, " . "), strings.Split(interval, " . ")
	for i, part := range parts {
		first, last, isRange := strings.Cut(in[i], "-")
		if !isRange {
			last = first
		}
		if address, err := netip.ParseAddr(part); err == nil && isRange {
			if from, to := netip.MustParseAddr(first), netip.MustParseAddr(last); address.Less(from) ||
				to.Less(address) {
				return false
			}
			continue
		}
		port, err := strconv.Atoi(part)
		a, _ := strconv.Atoi(first)
		b, _ := strconv.Atoi(last)
		if part != in[i] && (err != nil || port < a || port > b) {
			return false
		}
	}
	return true
}

// pick adds up the share of connections like p that each backend gets from a chain.
func (r *reading) pick(t testing.TB, chain string, p Packet, out *Outcome) {
	t.Helper()
	rules, ok := r.Chains[chain]
	if !ok {
		t.Fatalf("there is no chain %s", chain)
	}
	if chain == "no-backend" && len(rules) > 0 {
		out.Refused = true
		return
	}
	w := pickWalk{reading: r, packet: p, out: out, left: 1, done: map[int]bool{}, picked: map[string]float64{}}
	for _, rule := range rules {
		if w.step(t, rule) {
			return
		}
	}
	t.Errorf("%g of %s fall through %s", w.left, p, chain)
}

// A pickWalk walks through the rules of a pick chain.
type pickWalk struct {
	*reading
	packet Packet
	out    *Outcome

	left   float64            // share of the connections that come to the rule
	done   map[int]bool       // slots that an earlier rule has
	picked map[string]float64 // share of the connections by the backend ID in the packet
}

var forgedRules = regexp.MustCompile(` jump forged-ip| fib saddr type local `)

// step applies a rule, and reports whether no connection goes on to the next one.
func (w *pickWalk) step(t testing.TB, rule string) (ends bool) {
	t.Helper()
	if at := onlyInside.FindStringSubmatch(rule); at != nil {
		return !w.packet.fromHere && !w.inside(t, at[1], w.packet)
	}
	if at := gotoRule.FindStringSubmatch(rule); at != nil {
		w.goTo(t, at[1])
		return true
	}
	if at := markRule.FindStringSubmatch(rule); at != nil {
		w.out.Mark += at[1] // a second mark would be wrong
		return false
	}
	if timeoutRule.MatchString(rule) || stickyInsert.MatchString(rule) ||
		limitRules.MatchString(rule) { // no backend is full
		return false
	}
	if forgedRules.MatchString(rule) { // no packet of the model has a forged source
		return false
	}
	if at := parts(stickyLookup, rule); at != nil {
		return w.lookUp(t, at)
	}
	if at := parts(jumpRule, rule); at != nil {
		rule = w.Chains[at["chain"]][0]
	}
	if at := parts(pickRule, rule); at != nil {
		slots := w.frontendElements(at["map"], frontendKey(at["frontend"], w.packet))
		for _, e := range slots {
			w.picked[e.Value] += w.left / float64(len(slots))
		}
		return false
	}
	if len(w.picked) > 0 {
		w.leave(t, []string{rule})
		return true
	}
	return w.translate(t, rule)
}

// goTo sends the connections to a chain: to the targets of the backend IDs if there are any, else to another pick.
func (w *pickWalk) goTo(t testing.TB, chain string) {
	t.Helper()
	if len(w.picked) == 0 {
		w.pick(t, chain, w.packet, w.out)
		return
	}
	w.leave(t, w.targetRules(chain))
}

// leave sends the connections to the backends that rules translate their IDs to.
func (w *pickWalk) leave(t testing.TB, rules []string) {
	t.Helper()
	for id, share := range w.picked {
		to, ok := w.target(t, rules, id, w.packet)
		if !ok {
			t.Errorf("no backend has the ID %s in %q", id, rules)
		}
		w.out.Shares[to] += share
	}
}

// lookUp sends the connections to the backend of a sticky or static session, and reports whether there is one.
func (w *pickWalk) lookUp(t testing.TB, rule map[string]string) bool {
	t.Helper()
	to, ok := w.target(t, w.rulesBehind(rule), w.knownBackend(t, rule, w.packet), w.packet)
	if ok {
		w.out.Shares[to] += w.left
	}
	return ok
}

// translate sends the connections to the backends of a map of slots, and reports whether each slot has one.
func (w *pickWalk) translate(t testing.TB, rule string) bool {
	t.Helper()
	at := dnatRule.FindStringSubmatch(rule)
	if at == nil {
		t.Fatalf("not a rule that picks a backend: %s", rule)
	}
	if (at[2] == "ip") != w.packet.Address.Is4() {
		t.Fatalf("a rule of another family gets %s: %s", w.packet, rule)
	}
	if at[1] != "" && at[1] != w.packet.protocol {
		return false
	}
	number, name := at[4], at[6]
	slots, _ := strconv.Atoi(at[5])
	again := !strings.HasPrefix(number, "numgen") // gives the same number once more
	if again {
		w.left = 1
	}
	w.left /= float64(slots)
	missed, key := 0, frontendKey(at[3], w.packet)
	for slot := range slots {
		if again && w.done[slot] {
			continue
		}
		e, ok := w.find(t, name, key+strconv.Itoa(slot))
		if !ok {
			missed++
			continue
		}
		w.done[slot] = true
		w.out.Shares[destination(t, e.Value, w.packet)] += w.left
	}
	w.left *= float64(missed)
	return missed == 0
}

// inside reports whether the packet comes in by one of the interfaces of a rule.
func (r *reading) inside(t testing.TB, among string, p Packet) bool {
	t.Helper()
	name, named := strings.CutPrefix(among, "@")
	if !named {
		return strings.Contains(among, strconv.Quote(p.Inside))
	}
	_, ok := r.find(t, name, strconv.Quote(p.Inside))
	return ok
}

// parts gives the named parts of a rule of a form, nil if it is of another.
func parts(form *regexp.Regexp, rule string) map[string]string {
	at := form.FindStringSubmatch(rule)
	if at == nil {
		return nil
	}
	out := map[string]string{}
	for i, name := range form.SubexpNames() {
		out[name] = at[i]
	}
	return out
}

// frontendElements are the elements of a map with keys that begin so.
func (r *reading) frontendElements(name, begin string) (out []readElement) {
	for _, e := range r.Maps[name].Elements {
		if strings.HasPrefix(e.Key, begin) {
			out = append(out, e)
		}
	}
	return out
}

// knownBackend is the backend ID that a rule looks up for a client with a static session, or one that had a backend
// before. "" if it finds nothing.
func (r *reading) knownBackend(t testing.TB, rule map[string]string, p Packet) string {
	t.Helper()
	switch {
	case r.Maps[rule["in"]].Learnt && p.known.IsValid():
		for _, lookup := range r.rulesBehind(rule) {
			at := parts(targetRule, lookup)
			begin := frontendKey(at["frontend"], p)
			for _, e := range r.frontendElements(at["map"], begin) {
				keeps := begin == "" && p.known.Port() == 0 && e.Value == p.known.Addr().String()
				to := destination(t, e.Value, p)
				moved := p.known.Port() == 0 && to.Addr() == p.known.Addr() && to.Port() >= firstMoved
				same := to == netip.AddrPortFrom(p.known.Addr(), cmp.Or(p.known.Port(), uint16(p.port)))
				if keeps || (moved || same) && (begin != "" || p.known.Port() != 0) {
					return strings.TrimPrefix(e.Key, begin)
				}
			}
		}
	case !r.Maps[rule["in"]].Learnt && strings.HasSuffix(rule["client"], " saddr"):
		e, _ := r.find(t, rule["in"], p.client.String())
		return e.Value
	}
	return ""
}

// rulesBehind are the rules that translate the packets of known clients: the lookup itself, or those of its target.
func (r *reading) rulesBehind(lookup map[string]string) []string {
	if lookup["direct"] != "" {
		return []string{"\t\t" + lookup["direct"]}
	}
	return r.targetRules(lookup["target"])
}

// targetRules are the rules of the chain itself, or of the one behind it if it counts first.
func (r *reading) targetRules(chain string) []string {
	for _, rule := range r.Chains[chain] {
		if at := gotoRule.FindStringSubmatch(rule); at != nil {
			return r.Chains[at[1]]
		}
	}
	return r.Chains[chain]
}

// target is the backend's address and port of a packet that carries a backend ID.
func (r *reading) target(t testing.TB, rules []string, id string, p Packet) (netip.AddrPort, bool) {
	t.Helper()
	for _, rule := range rules {
		at := parts(targetRule, rule)
		if at == nil {
			t.Fatalf("not a rule that leads to a backend: %s", rule)
		}
		if at["protocol"] != "" && at["protocol"] != p.protocol {
			continue
		}
		if at["only"] != "" && !slices.ContainsFunc(strings.Split(at["only"], ", "), func(ports string) bool {
			return within(strconv.Itoa(p.port), ports)
		}) {
			continue
		}
		e, ok := r.find(t, at["map"], frontendKey(at["frontend"], p)+id)
		if !ok {
			continue
		}
		if at["ports"] != "" {
			moved, has := r.find(t, at["ports"], strconv.Itoa(p.port))
			if !has {
				t.Errorf("map %s lacks port %d", at["ports"], p.port)
			}
			e.Value += " . " + moved.Value
		}
		return destination(t, e.Value, p), true
	}
	return netip.AddrPort{}, false
}

// frontendKey is a packet's values in the fields of a frontend.
func frontendKey(fields string, p Packet) string {
	return strings.NewReplacer("ct original ", "", "meta l4proto", p.protocol,
		"ip6 daddr", p.Address.String(), "ip daddr", p.Address.String(), "th dport", strconv.Itoa(p.port)).
		Replace(fields)
}

// destination is where a value of a map of slots sends the packet.
func destination(t testing.TB, value string, p Packet) netip.AddrPort {
	t.Helper()
	address, port, ported := strings.Cut(value, " . ")
	to := netip.AddrPortFrom(netip.MustParseAddr(address), uint16(p.port))
	if ported {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		to = netip.AddrPortFrom(to.Addr(), uint16(n))
	}
	return to
}

// source is the source that a backend sees of connections that are sent to the chain.
func (r *reading) source(t testing.TB, chain string, backend netip.AddrPort, client netip.Addr) string {
	t.Helper()
	if chain == "" || chain == "accept" {
		return ""
	}
	hairpin := false
	for _, rule := range r.Chains[chain] {
		if at := hairpinRule.FindStringSubmatch(rule); at != nil {
			if hairpin = true; matchesAny([]string{at[1]}, client) {
				return r.source(t, at[2], backend, client)
			}
			continue
		}
		if at := ownSources.FindStringSubmatch(rule); at != nil {
			if source := r.sourcesOf(backend.Addr(), at[2], at[1] != ""); source != "" {
				return source
			}
			continue
		}
		if at := poolRule.FindStringSubmatch(rule); at != nil {
			slots := r.Maps[at[2]].Elements
			if at[1] != strconv.Itoa(len(slots)) {
				t.Errorf("%d slots: %s", len(slots), rule)
			}
			return joinedSources(slots)
		}
		at := oneSource.FindStringSubmatch(rule)
		if at == nil {
			t.Fatalf("not a rule that chooses a source: %s", rule)
		}
		if at[1] != "" {
			return at[1]
		}
		return "masquerade"
	}
	if !hairpin {
		t.Errorf("%s falls through %s", backend, chain)
	}
	return ""
}

// sourcesOf gives the sources of a backend in a map from backends, or from backends and slots; "" if there are none.
func (r *reading) sourcesOf(backend netip.Addr, name string, slots bool) string {
	if slots {
		return joinedSources(r.frontendElements(name, backend.String()+" . "))
	}
	return r.Maps[name].ByKey[backend.String()].Value
}

// joinedSources gives the addresses that slots stand for, in their order.
func joinedSources(slots []readElement) string {
	var all []string
	for _, e := range slots {
		all = append(all, e.Value)
	}
	slices.SortFunc(all, func(a, b string) int { return netip.MustParseAddr(a).Compare(netip.MustParseAddr(b)) })
	return strings.Join(slices.Compact(all), ",")
}
