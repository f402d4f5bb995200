package nftlb

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"farmc/cmd/internal/edit"
)

// annotation is the name of the annotation with attributes that a document of farmc lacks.
const annotation = "nftlb"

// A saved has the attributes that the document of a farm lacks. It is in an annotation of the farm.
type saved struct {
	Own       bool              `json:"own,omitempty"` // a client of nftlb's API made the farm
	Order     int               `json:"n,omitempty"`
	Values    Values            `json:"v,omitempty"`
	Addresses []savedAddress    `json:"a,omitempty"`
	Policies  []string          `json:"p,omitempty"`
	Backends  map[string]Values `json:"b,omitempty"`
	Names     []string          `json:"names,omitempty"` // of the backends, if another order than that of their marks
	Marks     string            `json:"m,omitempty"`     // of the backends, such as 1-3,7
	Sessions  *[]Session        `json:"s,omitempty"`
}

// A savedAddress is an address of a farm.
type savedAddress struct {
	Name     string   `json:"name"`
	Order    int      `json:"n,omitempty"`
	Values   Values   `json:"v,omitempty"`
	Policies []string `json:"p,omitempty"`
}

// Files are the documents that a state comes from.
type Files struct {
	Farms map[string]edit.Document // with the incomplete ones
	Aside map[string]bool          // the incomplete ones
	Lists map[string][]byte
	Loose []byte // the text of Loose; nil: nothing
}

// State returns the objects of the files.
func (in Files) State() *State {
	s := &State{}
	for name, text := range in.Lists {
		s.Policies = append(s.Policies, savedPolicy(name, text))
	}
	sortByOrder(s.Policies, func(p *Policy) (int, string) { return p.order, p.Name })
	for _, name := range slices.Sorted(maps.Keys(in.Farms)) {
		s.restore(name, in.Farms[name])
	}
	for _, f := range s.Farms {
		f.aside = in.Aside[f.Name]
	}
	sortByOrder(s.Farms, func(f *Farm) (int, string) { return f.order, f.Name })
	var loose []savedAddress
	_ = json.Unmarshal(in.Loose, &loose) // without a file there are none
	for _, a := range loose {
		if s.Address(a.Name) == nil {
			s.Addresses = append(s.Addresses, a.address())
		}
	}
	sortByOrder(s.Addresses, func(a *Address) (int, string) { return a.order, a.Name })
	s.typePolicies(in.Farms)
	s.number()
	return s
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
	used := s.numbered()
	for _, f := range s.Farms {
		for _, b := range f.Backends {
			if b.Values["mark"] == "" {
				b.Values["mark"] = hex(freeMark(used))
				used[b.Values.mark()] = true
			}
		}
	}
}

// restore adds the farm of a document.
func (s *State) restore(name string, d edit.Document) {
	var kept saved
	if text, has := table(d, "annotations")[annotation].(string); has {
		_ = json.Unmarshal([]byte(text), &kept) // another program's text has no effect
	}
	f, addresses := derived(name, d)
	if g, more := kept.applied(f, addresses); s.means(g, more, d) {
		f, addresses = g, more
	}
	f.order, f.own = kept.Order, kept.Own
	f.setMarks(kept.Marks)
	if kept.Names == nil {
		slices.SortStableFunc(f.Backends, func(a, b *Backend) int {
			return cmp.Compare(a.Values.mark(), b.Values.mark())
		})
	}
	s.Farms = append(s.Farms, f)
	for _, a := range addresses {
		if s.Address(a.Name) == nil {
			s.Addresses = append(s.Addresses, a)
		}
	}
}

// applied returns a farm with the saved attributes.
func (k saved) applied(f *Farm, addresses []*Address) (*Farm, []*Address) {
	f = f.clone()
	maps.Copy(f.Values, k.Values)
	if k.Policies != nil {
		f.Policies = k.Policies
	}
	if k.Sessions != nil {
		f.Sessions = *k.Sessions
	}
	if k.Addresses != nil {
		addresses, f.Addresses = nil, nil
		for _, a := range k.Addresses {
			addresses = append(addresses, a.address())
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
	now, _ := alone.Document(f, MarksNone)
	return reflect.DeepEqual(comparable(now), comparable(d))
}

// comparable returns the keys of a document that stand for attributes of nftlb, without marks.
func comparable(d edit.Document) map[string]any {
	out := map[string]any{}
	for _, key := range []string{"listen", "mode", "state", "source-address", "helper", "queue", "flow-offload",
		"local-clients", "interfaces", "scheduler", "hash-on", "limits", "access", "log", "sources"} {
		if value, has := d[key]; has {
			out[key] = value
		}
	}
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

// setMarks gives the backends their marks, in their order by name.
func (f *Farm) setMarks(text string) {
	all := slices.Clone(f.Backends)
	sortByOrder(all, func(b *Backend) (int, string) { return 0, b.Name })
	i := 0
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(part, "-")
		from, _ := strconv.Atoi(first)
		to, _ := strconv.Atoi(last)
		if !isRange {
			to = from
		}
		for mark := from; mark <= to && mark > 0 && i < len(all); mark, i = mark+1, i+1 {
			all[i].Values["mark"] = hex(uint64(mark))
		}
	}
}

// marks writes the marks of the backends, in their order by name.
func (f *Farm) marks() string {
	all := slices.Clone(f.Backends)
	sortByOrder(all, func(b *Backend) (int, string) { return 0, b.Name })
	var parts []string
	for i := 0; i < len(all); {
		first := int(all[i].Values.mark())
		n := 1
		for i+n < len(all) && int(all[i+n].Values.mark()) == first+n {
			n++
		}
		part := strconv.Itoa(first)
		if n > 1 {
			part += "-" + strconv.Itoa(first+n-1)
		}
		parts = append(parts, part)
		i += n
	}
	return strings.Join(parts, ",")
}

// Saved returns the document of a farm with its annotation.
func (s *State) Saved(f *Farm, marks Marks) edit.Document {
	d, _ := s.Document(f, marks)
	plain, _ := derived(f.Name, d)
	k := saved{Own: f.own, Order: f.order, Values: differences(f.Values, plain.Values), Marks: f.marks()}
	if !slices.Equal(f.Policies, plain.Policies) {
		k.Policies = append([]string{}, f.Policies...)
	}
	if !slices.Equal(f.Sessions, plain.Sessions) {
		all := append([]Session{}, f.Sessions...)
		k.Sessions = &all
	}
	k.saveAddresses(s, f)
	k.saveBackends(f, plain)
	text, err := json.Marshal(k)
	if err != nil {
		panic(err) // texts and numbers have no error
	}
	d["annotations"] = map[string]any{annotation: string(text)}
	return d
}

// differences returns the values that another object has not.
func differences(v, other Values) Values {
	out := Values{}
	for key, value := range v {
		if had, has := other[key]; !has || had != value {
			out[key] = value
		}
	}
	return out
}

// saveAddresses keeps the addresses of a farm.
func (k *saved) saveAddresses(s *State, f *Farm) {
	k.Addresses = []savedAddress{}
	for _, name := range f.Addresses {
		k.Addresses = append(k.Addresses, s.Address(name).saved())
	}
}

func (k *saved) saveBackends(f, plain *Farm) {
	k.Backends = map[string]Values{}
	var names []string
	for _, b := range f.Backends {
		names = append(names, b.Name)
		other := plain.Backend(b.Name)
		if other == nil {
			other = &Backend{Values: backendKind.presets()}
		}
		diff := differences(b.Values, other.Values)
		delete(diff, "mark")
		if len(diff) > 0 || plain.Backend(b.Name) == nil {
			k.Backends[b.Name] = diff
		}
	}
	byMark := slices.IsSortedFunc(f.Backends, func(a, b *Backend) int {
		return cmp.Compare(a.Values.mark(), b.Values.mark())
	})
	if !byMark {
		k.Names = names
	}
}

// typePolicies gives policies without a type of their own the one that farms use them as.
func (s *State) typePolicies(farms map[string]edit.Document) {
	for _, p := range s.Policies {
		if p.own {
			continue
		}
		for _, d := range farms {
			if slices.Contains(words(table(d, "access")["allow"]), "@"+p.Name) {
				p.Values["type"] = "whitelist"
			}
		}
	}
}

// policyComment begins the comment with the attributes that the entries of a list lack.
const policyComment = "# nftlb "

// A savedList has the attributes that the entries of a list lack.
type savedList struct {
	Order  int    `json:"n"`
	Values Values `json:"v"`
}

// Text returns the text of the list of a policy.
func (p *Policy) Text() []byte {
	head, err := json.Marshal(savedList{p.order, differences(p.Values, policyKind.presets())})
	if err != nil {
		panic(err)
	}
	return fmt.Appendf(nil, "%s\n%s%s\n%s", edit.WrittenBy, policyComment, head,
		strings.Join(append(slices.Clone(p.Elements), ""), "\n"))
}

// savedPolicy returns the policy of a list.
func savedPolicy(name string, text []byte) *Policy {
	p := &Policy{Name: name, Values: policyKind.presets()}
	var elements []string
	for line := range strings.Lines(string(text)) {
		var kept savedList
		if head, is := strings.CutPrefix(line, policyComment); is && json.Unmarshal([]byte(head), &kept) == nil {
			p.order, p.own = kept.Order, true
			maps.Copy(p.Values, kept.Values)
		}
		entry, _, _ := strings.Cut(strings.ReplaceAll(line, ";", "#"), "#")
		if entry = strings.TrimSpace(entry); entry != "" {
			elements = append(elements, entry)
		}
	}
	p.Elements = merged(elements)
	if !p.own && len(p.Elements) > 0 && strings.Contains(p.Elements[0], ":") {
		p.Values["family"] = "ipv6"
	}
	return p
}

// Loose returns the text of a file with the addresses that no farm has; nil if there are none.
func (s *State) Loose() []byte {
	var loose []savedAddress
	for _, a := range s.Addresses {
		if s.users(a.Name) == 0 {
			loose = append(loose, a.saved())
		}
	}
	if loose == nil {
		return nil
	}
	text, err := json.Marshal(loose)
	if err != nil {
		panic(err) // texts and numbers have no error
	}
	return append(text, '\n')
}

func (a *Address) saved() savedAddress {
	return savedAddress{a.Name, a.order, differences(a.Values, addressKind.presets()), a.Policies}
}

func (a savedAddress) address() *Address {
	v := addressKind.presets()
	maps.Copy(v, a.Values)
	return &Address{a.Name, v, a.Policies, a.Order}
}

// Own reports whether a client of nftlb's API made the farm.
func (f *Farm) Own() bool { return f.own }
