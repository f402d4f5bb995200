package farm

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/toml"
)

// An Access says which clients a farm takes. Allowed clients are not denied, and exempt clients are neither denied nor
// limited. Without exempt clients no limit holds for allowed ones either. A client in Deny is denied nevertheless if
// DenyFirst says so; any other client stands last in both orders.
type Access struct {
	Allow, Deny, Exempt ClientList
	LogOnly             ClientList // their packets are logged where denied ones would be dropped
	DenyFirst           bool
}

// Free gives the clients that no limit holds for.
func (a Access) Free() ClientList {
	if a.Exempt.Empty() {
		return a.Allow
	}
	return a.Exempt
}

// All gives all lists of clients.
func (a Access) All() []ClientList { return []ClientList{a.Allow, a.Deny, a.Exempt, a.LogOnly} }

// Lists gives the address lists that the farm names.
func (a Access) Lists() (out []*AddressList) {
	for _, p := range a.All() {
		out = append(out, p.Lists...)
	}
	return out
}

// Names reports whether the farm names a list, which need not exist.
func (a Access) Names(list string) bool {
	return slices.ContainsFunc(a.All(), func(p ClientList) bool { return slices.Contains(p.words, "@"+list) })
}

// Named gives the clients without the word any.
func (p ClientList) Named() ClientList {
	p.Any = false
	return p
}

// A ClientList is a group of clients, by their addresses.
type ClientList struct {
	Any bool

	words    []string       // as the farm says it
	Lists    []*AddressList // in the order of their names
	networks []familyRange  // that the farm itself names
	count    int            // of these networks, as prefixes
}

// String writes the clients as a farm does.
func (p ClientList) String() string { return strings.Join(p.words, ", ") }

// Empty reports whether the list has no client.
func (p ClientList) Empty() bool { return !p.Any && len(p.Lists) == 0 && len(p.networks) == 0 }

// Ranges gives the networks of a family that the farm itself names, merged.
func (p ClientList) Ranges(f addr.Family) []addr.Range {
	var out []addr.Range
	for _, n := range p.networks {
		if n.family == f {
			out = append(out, n.Range)
		}
	}
	return addr.Merge(out)
}

// holdsAll reports whether the networks that the farm itself names are all addresses of the family.
func (p ClientList) holdsAll(f addr.Family) bool {
	first := netip.IPv4Unspecified()
	if f == addr.IP6 {
		first = netip.IPv6Unspecified()
	}
	all := addr.Range{First: addr.NumberOf(first), Last: addr.NumberOf(addr.Last(netip.PrefixFrom(first, 0)))}
	return p.Any || slices.Equal(p.Ranges(f), []addr.Range{all})
}

// within reports whether another list names all lists and networks of this one.
func (p ClientList) within(o ClientList, f addr.Family) bool {
	outer := o.Ranges(f)
	return !slices.ContainsFunc(p.Lists, func(l *AddressList) bool { return !slices.Contains(o.Lists, l) }) &&
		!slices.ContainsFunc(p.Ranges(f), func(r addr.Range) bool {
			return !slices.ContainsFunc(outer, func(o addr.Range) bool { return o.Holds(r.First) && o.Holds(r.Last) })
		})
}

type familyRange struct {
	addr.Range
	family addr.Family
}

func readAccess(t *toml.Table, f *Farm) {
	in := t.Sub("access")
	if in == nil {
		return
	}
	f.readTable(in, accessKeys)
	hasAllow, hasExempt := in.Has("allow"), in.Has("exempt")
	hasDeny := in.Has("deny") || in.Has("log-only") // allowed clients are not logged, either
	if !hasAllow && !hasDeny && !hasExempt {
		in.Fault(in.Place, `deny = ["198.51.100.0/24"]`, "[access] needs allow or deny")
	}
	if hasAllow && !hasDeny && (hasExempt || !t.Has("limits")) {
		in.Fault(in.At("allow"), `deny = "any" denies all other clients`, "%s", map[bool]string{
			false: "allow has no effect without deny, log-only or [limits]",
			true:  "allow has no effect without deny or log-only: with exempt it only admits"}[hasExempt])
	}
	if hasExempt && !hasDeny && !t.Has("limits") {
		in.Fault(in.At("exempt"), `deny = "any" denies all other clients`,
			"exempt has no effect without deny, log-only or [limits]")
	}
	if f.Access.DenyFirst && (f.Access.Deny.Named().Empty() || !hasAllow && !hasExempt) {
		in.Fault(in.At("order"), `deny = "@bad" and allow = "@office"`,
			"order has no effect without clients in deny, and others in allow or exempt")
	}
}

// validateAccess refuses a list that only logs without a log.
func validateAccess(t *toml.Table, f *Farm) {
	if in := t.Sub("access"); in != nil && in.Has("log-only") && !f.Logs(OnDenied) {
		in.Fault(in.At("log-only"), `on = ["denied"] in [log]`, "log-only has no effect: [log] lacks denied")
	}
}

// clients is a list of addresses, networks and lists.
func clients(at func(*Farm) *ClientList) value[*Farm] {
	return value[*Farm]{
		kind: ListType,
		read: func(k *Key, t *toml.Table, f *Farm) { *at(f) = readClients(t, k.Name, f.lists) },
		describe: func(_ *Key, f *Farm) string {
			if at(f).Empty() {
				return ""
			}
			return at(f).String()
		},
	}
}

// maxOwnNetworks is the largest number of networks that one key of a farm names. A list holds more.
const maxOwnNetworks = 20_000

func readClients(t *toml.Table, key string, lists map[string]*AddressList) ClientList {
	var p ClientList
	for _, w := range t.Words(key) {
		p.words = append(p.words, w.Text)
		name, isList := strings.CutPrefix(w.Text, "@")
		switch {
		case isList && !IsName(name):
			t.Fault(w.Place, NamingRule, "%s: %q can't be the name of a list", key, name)
		case isList && lists[name] == nil:
			t.Fault(w.Place, "a list is a file beside the farms: "+name+".list", "%s: there is no list %s", key, name)
		case isList:
			p.Lists = append(p.Lists, lists[name])
		case w.Text == "any" && key == "deny":
			p.Any = true
		default:
			n, err := addr.ParseNetwork(w.Text)
			if err != nil {
				t.Fault(w.Place, addr.NetworkSyntax+`, or "@list"`, "%s: %v", key, err)
				continue
			}
			if p.count += n.Range().CountPrefixes(addr.FamilyOf(n.First)); p.count > maxOwnNetworks {
				t.Fault(w.Place, "a list is a file beside the farms, and holds more: @list",
					"%s: the items up to here are more than %d networks", key, maxOwnNetworks)
				return p
			}
			p.networks = append(p.networks, familyRange{n.Range(), addr.FamilyOf(n.First)})
		}
	}
	slices.SortFunc(p.Lists, func(a, b *AddressList) int { return cmp.Compare(a.Name, b.Name) })
	p.Lists = slices.Compact(p.Lists)
	return p
}
