package nftlb

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
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
	Policies  *[]string         `json:"p,omitempty"` // nil: those of the document
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
		all := append([]string{}, f.Policies...)
		k.Policies = &all
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

// Loose returns the text of a file with the addresses that no farm has; nil if there are none.
func (s *State) Loose() []byte {
	var loose []savedAddress
	users := s.users()
	for _, a := range s.Addresses {
		if users[a.Name] == 0 {
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
	return &Address{Name: a.Name, Values: v, Policies: a.Policies, order: a.Order}
}

// Own reports whether a client of nftlb's API made the farm.
func (f *Farm) Own() bool { return f.own }
