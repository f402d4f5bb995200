package compilertest

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A ModelAccess is the access lists of a farm, in the words of the farm.
type ModelAccess struct {
	allow, deny, exempt, logOnly []string
	denyFirst                    bool
}

// AccessClients are the sources of packets.
var AccessClients = []netip.Addr{
	netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("198.51.100.64"), netip.MustParseAddr("203.0.113.9"),
	netip.MustParseAddr("2001:db8:c::7"), netip.MustParseAddr("2001:db8:c::64"), netip.MustParseAddr("2001:db8:f::9"),
}

// ModelLists are list files, and the names of the lists that farms use.
var ModelLists = map[string]string{
	"@few": "198.51.100.7\n2001:db8:c::60-2001:db8:c::6f\n",
	"@many": "198.51.100.0/25\n2001:db8:c::/64\n10.0.0.0/8\n172.16.0.0/12\n192.168.0.0/16\n100.64.0.0/10\n" +
		"192.0.2.77-192.0.2.99\n",
}

// RandomAccess makes access lists for a farm: deny, and allow or not.
func RandomAccess(r *rand.Rand) ModelAccess {
	randomWords := func() []string {
		from := []string{
			"@few",
			"@many",
			"198.51.100.64/26",
			"203.0.113.0/24",
			"2001:db8:f::/48",
			"198.51.100.7",
			"2001:db8:c::64",
			"2001:db8:c::1-2001:db8:c::8",
		}
		r.Shuffle(len(from), func(i, j int) { from[i], from[j] = from[j], from[i] })
		return from[:1+r.IntN(3)]
	}
	a := ModelAccess{deny: randomWords()}
	if r.IntN(3) == 0 {
		a.deny = []string{"any"}
	}
	if r.IntN(2) == 0 {
		a.allow = randomWords()
	}
	if r.IntN(4) == 0 {
		a.exempt = randomWords()
	}
	if r.IntN(4) == 0 {
		a.logOnly = randomWords()
	}
	a.denyFirst = a.deny[0] != "any" && a.allow != nil && r.IntN(3) == 0
	return a
}

// Settings are described at the farm's Settings.
func (a ModelAccess) Settings(r *rand.Rand) []Setting {
	out := []Setting{{"access", "deny", listed(r, a.deny)}}
	if a.allow != nil {
		out = append(out, Setting{"access", "allow", listed(r, a.allow)})
	}
	if a.exempt != nil {
		out = append(out, Setting{"access", "exempt", listed(r, a.exempt)})
	}
	if a.logOnly != nil {
		out = append(out, Setting{"access", "log-only", listed(r, a.logOnly)}, Setting{"log", "on", `["denied"]`})
	}
	if a.denyFirst {
		out = append(out, Setting{"access", "order", `"deny-first"`})
	}
	return out
}

func (a ModelAccess) denies(client netip.Addr) bool {
	return matchesAny(a.deny, client) && (a.denyFirst || !matchesAny(a.allow, client) && !matchesAny(a.exempt, client))
}

// matchesAny reports whether one of the words of an access list contains the client.
func matchesAny(words []string, client netip.Addr) bool {
	for _, word := range words {
		if strings.HasPrefix(word, "@") {
			if matchesAny(strings.Fields(ModelLists[word]), client) {
				return true
			}
			continue
		}
		first, last, isRange := strings.Cut(word, "-")
		p, err := netip.ParsePrefix(word)
		switch {
		case word == "any", word == client.String(), err == nil && p.Contains(client):
			return true
		case isRange && client.Is4() == !strings.Contains(first, ":") &&
			!client.Less(netip.MustParseAddr(first)) && !netip.MustParseAddr(last).Less(client):
			return true
		}
	}
	return false
}

// DeniedFarms gives the farms that deny the packet. Of the farms that listen on its destination, most specific first,
// all that are down count, and the first one that is up. Nothing is promised of packets that a farm takes at another
// interface.
func DeniedFarms(
	farms []ModelFarm,
	access map[string]ModelAccess,
	p Packet,
	client netip.Addr,
) (by []string, promised bool) {
	type meant struct {
		rank int
		farm ModelFarm
	}
	var all []meant
	for _, f := range farms {
		awake := f
		awake.down = false
		rank := awake.serves(p)
		if rank == 0 {
			continue
		}
		if f.inside != nil && !p.fromHere && !slices.Contains(f.inside, p.Inside) {
			return nil, false
		}
		all = append(all, meant{rank, f})
	}
	slices.SortFunc(all, func(a, b meant) int { return cmp.Compare(a.rank, b.rank) })
	for _, m := range all {
		a, guarded := access[m.farm.Name]
		if guarded && a.denies(client) && (!p.fromHere || m.farm.local) {
			by = append(by, m.farm.Name)
		}
		if !m.farm.down {
			break
		}
	}
	return by, true
}

// The rules of access chains.
var (
	setRule = lineForm(
		`		(?P<version>IP) saddr (?:& (?P<mask>IP4|IP6) )?@(?P<set>NAME) (?P<then>DENIED)`,
	)
	networkRule      = lineForm(`		(?P<version>IP) saddr (?P<network>(?:IP4|IP6)(?:/[0-9]+)?) (?P<then>DENIED)`)
	everyClientRule  = lineForm(`		(?P<then>DENIED)`)
	otherAccessRules = lineForms(
		`		type filter hook .*`,
		`		meta pkttype other accept`,
		`		iif "lo" return`,
		`		(?:icmp|icmpv6) type .* accept`,
		`		(?:ip frag-off & 0x1fff|frag frag-off) != 0 .*`,
	)
)

// DeniedBy gives the farm with the counter that a dropped packet counts for; "" if the packet goes on.
func (r *reading) DeniedBy(t testing.TB, p Packet, client netip.Addr) string {
	t.Helper()
	gates := []string{"access"}
	if p.fromHere {
		gates = []string{"local-access"}
	}
	for name, rules := range r.Chains {
		if strings.HasPrefix(name, "access-ingress/") && !p.fromHere &&
			strings.Contains(rules[0], strconv.Quote(p.Inside)) {
			gates = append([]string{name}, gates...)
		}
	}
	for _, gate := range gates {
		if by := r.deniedIn(t, gate, p, client); by != "" {
			return by
		}
	}
	return ""
}

// deniedIn is DeniedBy for the rules of one chain.
func (r *reading) deniedIn(t testing.TB, chain string, p Packet, client netip.Addr) string {
	t.Helper()
	for _, rule := range r.Chains[chain] {
		if loopback.MatchString(rule) {
			if p.Address.IsLoopback() && p.Address.Is4() == strings.Contains(rule, "127") {
				return ""
			}
			continue
		}
		if at := onlyInside.FindStringSubmatch(rule); at != nil {
			if !p.fromHere && !r.inside(t, at[1], p) {
				return ""
			}
			continue
		}
		if at := isLocal.FindStringSubmatch(rule); at != nil {
			if p.ours {
				return r.deniedIn(t, at[1], p, client)
			}
			continue
		}
		if otherAccessRules.MatchString(rule) {
			continue
		}
		verdict := r.accessVerdict(t, rule, client)
		if dispatchPort.MatchString(rule) || dispatchAddress.MatchString(rule) || dispatchAnyAddress.MatchString(rule) {
			verdict = r.dispatched(t, chain, rule, p)
		}
		counter, drops := strings.CutPrefix(verdict, `counter name "farm/`)
		next, jumps := strings.CutPrefix(verdict, "jump ")
		switch further, goes := strings.CutPrefix(verdict, "goto "); {
		case verdict == "return":
			return ""
		case drops:
			by, _, _ := strings.Cut(counter, "/denied")
			return by
		case goes:
			return r.deniedIn(t, further, p, client)
		case jumps:
			if by := r.deniedIn(t, next, p, client); by != "" {
				return by
			}
		}
	}
	return ""
}

// accessVerdict is the verdict of an access rule on a client.
func (r *reading) accessVerdict(t testing.TB, rule string, client netip.Addr) string {
	t.Helper()
	family := map[bool]string{true: "ip", false: "ip6"}[client.Is4()]
	if at := setRule.FindStringSubmatch(rule); at != nil {
		masked := client.AsSlice()
		if at[2] != "" {
			for i, b := range netip.MustParseAddr(at[2]).AsSlice() {
				masked[i] &= b
			}
		}
		key, _ := netip.AddrFromSlice(masked)
		if _, in := r.Maps[at[3]].ByKey[key.String()]; in && at[1] == family {
			return at[4]
		}
		return ""
	}
	if at := networkRule.FindStringSubmatch(rule); at != nil {
		if at[1] == family && matchesAny([]string{at[2]}, client) {
			return at[3]
		}
		return ""
	}
	if at := everyClientRule.FindStringSubmatch(rule); at != nil {
		return at[1]
	}
	if at := gotoRule.FindStringSubmatch(rule); at != nil {
		return "goto " + at[1]
	}
	return ""
}
