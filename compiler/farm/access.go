package farm

import (
	"cmp"
	"slices"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/toml"
)

// An Access says which clients a farm takes. Who is allowed is neither denied nor limited.
type Access struct {
	Allow, Deny ClientList
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

type familyRange struct {
	addr.Range
	family addr.Family
}

func readAccess(t *toml.Table, f *Farm) {
	in := t.Sub("access")
	if in == nil {
		return
	}
	readKeys(in, accessKeys, f)
	switch {
	case !in.Has("allow") && !in.Has("deny"):
		in.Fault(in.Place, `deny = ["198.51.100.0/24"]`, "[access] needs allow or deny")
	case !in.Has("deny") && !t.Has("limits"):
		in.Fault(in.At("allow"), `deny = "any" denies all other clients`,
			"allow has no effect without deny or [limits]")
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
