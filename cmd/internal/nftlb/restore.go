package nftlb

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"farmc/cmd/internal/edit"
)

// Files are the documents that a state comes from.
type Files struct {
	Farms map[string]edit.Document // with the incomplete ones
	Aside map[string]bool          // the incomplete ones
	Lists map[string][]byte
	Loose []byte // the text of Loose; nil: nothing
}

// State returns the objects of the files.
func (in Files) State() *State { return (&Cache{}).State(in) }

// A Cache restores states, and keeps the objects of documents and lists that stay as they are. It serves one caller at
// a time.
type Cache struct {
	farms    map[string]restoredFarm
	policies map[string]restoredPolicy
	types    map[string]string // of the policies, which the meaning of farms depends on
}

// A restoredFarm is a farm of a document, with its addresses.
type restoredFarm struct {
	document  uintptr // identity
	aside     bool
	farm      *Farm
	addresses []*Address
}

// A restoredPolicy is the policy of a list.
type restoredPolicy struct {
	text   []byte
	policy *Policy
}

// State returns the objects of the files.
func (c *Cache) State(in Files) *State {
	s := &State{}
	c.restorePolicies(s, in)
	c.restoreFarms(s, in)
	s.restoreLoose(in.Loose)
	sortByOrder(s.Policies, func(p *Policy) (int, string) { return p.order, p.Name })
	sortByOrder(s.Farms, func(f *Farm) (int, string) { return f.order, f.Name })
	sortByOrder(s.Addresses, func(a *Address) (int, string) { return a.order, a.Name })
	s.dropPlaces()
	s.number()
	s.findPlaces()
	return s
}

// restorePolicies adds the policies of the lists. If one appears, goes or has another type, no farm is known.
func (c *Cache) restorePolicies(s *State, in Files) {
	known, types := map[string]restoredPolicy{}, map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(in.Lists)) {
		text := in.Lists[name]
		r, has := c.policies[name]
		if !has || !bytes.Equal(r.text, text) {
			r = restoredPolicy{text, savedPolicy(name, text)}
		}
		known[name] = r
		s.Policies = append(s.Policies, r.policy)
	}
	s.typePolicies(in.Farms)
	for _, p := range s.Policies {
		types[p.Name] = p.Values["type"]
	}
	if !maps.Equal(types, c.types) {
		c.farms = nil
	}
	c.policies, c.types = known, types
	s.findPlaces()
}

// restoreFarms adds the farms of the documents, and their addresses.
func (c *Cache) restoreFarms(s *State, in Files) {
	known := make(map[string]restoredFarm, len(in.Farms))
	for _, name := range slices.Sorted(maps.Keys(in.Farms)) {
		d := in.Farms[name]
		r, has := c.farms[name]
		if id := reflect.ValueOf(d).Pointer(); !has || r.document != id || r.aside != in.Aside[name] {
			r = restoredFarm{document: id, aside: in.Aside[name]}
			r.farm, r.addresses = s.restore(name, d)
			r.farm.aside = r.aside
		}
		known[name] = r
		s.Farms = append(s.Farms, r.farm)
		for _, a := range r.addresses {
			if s.Address(a.Name) == nil {
				s.Addresses = append(s.Addresses, a)
			}
		}
	}
	c.farms = known
}

// restoreLoose adds the addresses that no farm has.
func (s *State) restoreLoose(text []byte) {
	var loose []savedAddress
	_ = json.Unmarshal(text, &loose) // without a file there are none
	for _, a := range loose {
		if s.Address(a.Name) == nil {
			s.Addresses = append(s.Addresses, a.address())
		}
	}
}

// typePolicies gives policies without a type of their own the one that farms use them as.
func (s *State) typePolicies(farms map[string]edit.Document) {
	allowed := map[string]bool{}
	for _, d := range farms {
		for _, word := range words(table(d, "access")["allow"]) {
			allowed[word] = true
		}
	}
	for _, p := range s.Policies {
		if !p.own && allowed["@"+p.Name] {
			s.ownPolicy(p.Name).Values["type"] = "whitelist"
		}
	}
}

func sortByOrder[T any](all []T, by func(T) (int, string)) {
	slices.SortStableFunc(all, func(a, b T) int {
		m, left := by(a)
		n, right := by(b)
		return cmp.Or(cmp.Compare(m, n), strings.Compare(left, right))
	})
}

// number gives a mark to backends that have none.
func (s *State) number() {
	for _, f := range s.Farms {
		for i, b := range f.Backends {
			if b.Values["mark"] == "" {
				s.ownFarm(f.Name).Backends[i].Values["mark"] = hex(s.freeMark())
			}
		}
	}
}

// restore returns the farm of a document, and its addresses.
func (s *State) restore(name string, d edit.Document) (*Farm, []*Address) {
	var kept saved
	if text, has := table(d, "annotations")[annotation].(string); has {
		_ = json.Unmarshal([]byte(text), &kept) // another program's text has no effect
	}
	f, addresses := derived(name, d)
	if f.own = kept.Own; f.own {
		f.kept.occasions = nil
	}
	g, more := kept.applied(f, addresses)
	f.setMarks(kept.Marks)
	g.setMarks(kept.Marks) // sources of a proxy depend on them
	if s.means(g, more, d) {
		f, addresses = g, more
	}
	f.order = kept.Order
	if kept.Names == nil {
		slices.SortStableFunc(f.Backends, func(a, b *Backend) int {
			return cmp.Compare(a.Values.mark(), b.Values.mark())
		})
	}
	return f, addresses
}

// applied returns a farm with the saved attributes.
func (k saved) applied(f *Farm, plain []*Address) (*Farm, []*Address) {
	f = f.clone()
	addresses := plain
	maps.Copy(f.Values, k.Values)
	if k.Policies != nil {
		f.Policies = *k.Policies
	}
	if k.Sessions != nil {
		f.Sessions = *k.Sessions
	}
	if k.Addresses != nil {
		addresses, f.Addresses = nil, nil
		for _, a := range k.Addresses {
			now := a.address()
			if i := slices.IndexFunc(plain, now.sameListener); i >= 0 {
				now.written = plain[i].written
			}
			addresses = append(addresses, now)
			f.Addresses = append(f.Addresses, a.Name)
		}
	}
	for name, values := range k.Backends {
		b := f.Backend(name)
		if b == nil {
			b = &Backend{Name: name, Values: backendKind.presets()}
			f.Backends = append(f.Backends, b)
		}
		maps.Copy(b.Values, values)
	}
	sortByOrder(f.Backends, func(b *Backend) (int, string) { return slices.Index(k.Names, b.Name), b.Name })
	return f, addresses
}

// means reports whether a farm has the meaning of a document: a hand edit of the document counts more than the
// annotation.
func (s *State) means(f *Farm, addresses []*Address, d edit.Document) bool {
	alone := &State{Farms: []*Farm{f}, Policies: s.Policies, Addresses: addresses}
	alone.places.policies = s.places.policies
	now, _ := alone.Document(f, MarksNone)
	return reflect.DeepEqual(comparable(now), comparable(d))
}

// comparable returns the keys of a document that stand for attributes of nftlb, without marks.
func comparable(d edit.Document) map[string]any {
	out := map[string]any{}
	for _, key := range []string{"mode", "state", "source-address", "helper", "queue", "flow-offload",
		"local-clients", "interfaces", "scheduler", "hash-on", "limits", "log", "sources"} {
		if value, has := d[key]; has {
			out[key] = value
		}
	}
	if a := table(d, "access"); a != nil {
		sorted := map[string]any{}
		for key, value := range a {
			sorted[key] = slices.Sorted(slices.Values(words(value)))
		}
		out["access"] = sorted
	}
	out["listen"] = words(d["listen"])
	if p := table(d, "persistence"); p != nil {
		out["persistence"] = []any{p["on"], p["timeout"], p["static"]}
	}
	for name, b := range table(d, "backends") {
		t, _ := b.(map[string]any)
		out["backends."+name] = []any{t["address"], t["port"], t["weight"], t["priority"], t["state"],
			t["source-address"], t["connections"], t["mac"]}
	}
	return out
}

// savedPolicy returns the policy of a list.
func savedPolicy(name string, text []byte) *Policy {
	p := &Policy{Name: name, Values: policyKind.presets()}
	for line := range strings.Lines(string(text)) {
		var kept savedList
		if head, is := strings.CutPrefix(line, policyComment); is && json.Unmarshal([]byte(head), &kept) == nil {
			p.order, p.own = kept.Order, true
			maps.Copy(p.Values, kept.Values)
		}
	}
	p.Elements = merged(entries(text))
	if !p.own && len(p.Elements) > 0 && strings.Contains(p.Elements[0], ":") {
		p.Values["family"] = "ipv6"
	}
	return p
}
