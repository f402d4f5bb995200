package compiler

import (
	"cmp"
	"slices"
	"strings"

	"farmc/compiler/addr"
	"farmc/compiler/toml"
)

// An Access says which clients a farm takes. Who is allowed is neither denied nor limited.
type Access struct {
	Allow, Deny People
}

// People are clients, by their addresses.
type People struct {
	Anybody bool

	words    []string       // as the farm says it
	lists    []*addressList // in the order of their names
	networks []stretchOf    // that the farm itself names
}

// String writes the people as a farm does.
func (p People) String() string { return strings.Join(p.words, ", ") }

// nobody says whether no client can be among them.
func (p People) nobody() bool { return !p.Anybody && len(p.lists) == 0 && len(p.networks) == 0 }

// own are the networks of a family that the farm itself names, merged.
func (p People) own(f addr.Family) []addr.Range {
	var out []addr.Range
	for _, n := range p.networks {
		if n.family == f {
			out = append(out, n.Range)
		}
	}
	return addr.Merge(out)
}

type stretchOf struct {
	addr.Range
	family addr.Family
}

func readAccess(t *toml.Table, lists map[string]*addressList) Access {
	if t == nil {
		return Access{}
	}
	a := Access{readPeople(t, "allow", lists), readPeople(t, "deny", lists)}
	switch {
	case !t.Has("allow") && !t.Has("deny"):
		t.Fault(t.Place, `deny = ["198.51.100.0/24"]`, "[access] says neither whom to allow nor whom to deny")
	case !t.Has("deny") && !t.Top().Has("limits"):
		t.Fault(t.At("allow"), `deny = "any" denies everybody not allowed`, "allow has no effect where nobody is denied or limited")
	}
	return a
}

func readPeople(t *toml.Table, key string, lists map[string]*addressList) People {
	var p People
	for _, w := range t.Words(key) {
		p.words = append(p.words, w.Text)
		name, isList := strings.CutPrefix(w.Text, "@")
		switch {
		case isList && !namesFarm(name):
			t.Fault(w.Place, farmNamingRule, "%s: %q can't be the name of a list", key, name)
		case isList && lists[name] == nil:
			t.Fault(w.Place, "a list is a file beside the farms: "+name+".list", "%s: there is no list %s", key, name)
		case isList:
			p.lists = append(p.lists, lists[name])
		case w.Text == "any" && key == "deny":
			p.Anybody = true
		default:
			n, err := addr.ParseNetwork(w.Text)
			if err != nil {
				t.Fault(w.Place, addr.NetworkSyntax+`, or "@list"`, "%s: %v", key, err)
				continue
			}
			p.networks = append(p.networks, stretchOf{n.Range(), addr.FamilyOf(n.First)})
		}
	}
	slices.SortFunc(p.lists, func(a, b *addressList) int { return cmp.Compare(a.name, b.name) })
	p.lists = slices.Compact(p.lists)
	return p
}
