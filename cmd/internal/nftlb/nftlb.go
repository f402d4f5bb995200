// Package nftlb knows the objects of nftlb 1.1: farms, backends, addresses, policies and sessions, how its JSON API
// changes and lists them, and the documents of farmc that stand for them.
//
// The package knows documents of farms (package edit). It must not know HTTP, directories of farms, nft or loading.
//
// Files, in the order to read them: nftlb.go has State and the objects; attributes.go is the table of all attributes,
// which reading, listing and saving use; values.go reads values. request.go does a request: body.go is POST, PUT and
// PATCH, remove.go is DELETE, list.go and sessions.go are GET. tokens.go reads JSON in its order, elements.go joins
// networks. document.go makes farmc's documents of farms, meaning.go has the keys that need more than a table.
// derive.go and saved.go read the documents back, with an annotation for attributes without a key. change.go compares
// two states. import.go and export.go are the ways from and to files.
//
// Be aware:
//   - nftlb applies a body key by key, and some keys change others. So the order of a document counts.
//   - A value is kept as nftlb lists it: "srcip srcport " or "10/minute".
//   - Clients read listings by regular expressions, so their bytes count, too.
package nftlb

import (
	"maps"
	"slices"
	"strconv"
)

// A State has all objects, in the order in which they were made.
type State struct {
	Farms     []*Farm
	Policies  []*Policy
	Addresses []*Address
}

// Values are the attributes of an object that have a value, by their names.
type Values map[string]string

// A Farm is a service. Its addresses are shared objects, and have family, address, ports and protocol.
type Farm struct {
	Name      string
	Values    Values
	Addresses []string
	Backends  []*Backend
	Policies  []string
	Sessions  []Session // fixed ones
	order     int       // of making; 0: a person made it
	own       bool      // a client of the API made it
	aside     bool      // it is in a file that farmc does not read, as it is incomplete
	refused   bool      // farmc refuses it, so it has to go aside
}

// A Backend is a server of a farm.
type Backend struct {
	Name   string
	Values Values
	Marked bool // a request asked for the mark; else the mark is a number of its own in listings alone
}

// An Address is a listener.
type Address struct {
	Name     string
	Values   Values
	Policies []string
	order    int
}

// A Policy is a list of networks that is denied or allowed.
type Policy struct {
	Name     string
	Values   Values
	Elements []string
	order    int
	own      bool
}

// A Session binds a client to a backend.
type Session struct {
	Client  string `json:"c"`
	Backend string `json:"b"`
}

// Farm returns the farm of a name; nil if there is none.
func (s *State) Farm(name string) *Farm {
	return find(s.Farms, func(f *Farm) bool { return f.Name == name })
}

// Policy returns the policy of a name; nil if there is none.
func (s *State) Policy(name string) *Policy {
	return find(s.Policies, func(p *Policy) bool { return p.Name == name })
}

// Address returns the address of a name; nil if there is none.
func (s *State) Address(name string) *Address {
	return find(s.Addresses, func(a *Address) bool { return a.Name == name })
}

// Backend returns the backend of a name; nil if there is none.
func (f *Farm) Backend(name string) *Backend {
	return find(f.Backends, func(b *Backend) bool { return b.Name == name })
}

func find[T any](all []*T, is func(*T) bool) *T {
	if i := slices.IndexFunc(all, is); i >= 0 {
		return all[i]
	}
	return nil
}

// first returns the address that a farm lists as its own; nil if it has none.
func (s *State) first(f *Farm) *Address {
	if len(f.Addresses) == 0 {
		return nil
	}
	return s.Address(f.Addresses[0])
}

// next returns the order of a new object.
func (s *State) next() int {
	most := 0
	for _, f := range s.Farms {
		most = max(most, f.order)
	}
	for _, p := range s.Policies {
		most = max(most, p.order)
	}
	for _, a := range s.Addresses {
		most = max(most, a.order)
	}
	return most + 1
}

// users returns the number of farms with an address.
func (s *State) users(address string) (n int) {
	for _, f := range s.Farms {
		if slices.Contains(f.Addresses, address) {
			n++
		}
	}
	return n
}

// Clone returns a state that shares nothing with s.
func (s *State) Clone() *State {
	out := &State{}
	for _, f := range s.Farms {
		out.Farms = append(out.Farms, f.clone())
	}
	for _, p := range s.Policies {
		out.Policies = append(out.Policies, &Policy{p.Name, maps.Clone(p.Values), slices.Clone(p.Elements), p.order,
			p.own})
	}
	for _, a := range s.Addresses {
		out.Addresses = append(out.Addresses, &Address{a.Name, maps.Clone(a.Values), slices.Clone(a.Policies), a.order})
	}
	return out
}

func (f *Farm) clone() *Farm {
	out := *f
	out.Values, out.Addresses = maps.Clone(f.Values), slices.Clone(f.Addresses)
	out.Policies, out.Sessions = slices.Clone(f.Policies), slices.Clone(f.Sessions)
	out.Backends = nil
	for _, b := range f.Backends {
		out.Backends = append(out.Backends, &Backend{b.Name, maps.Clone(b.Values), b.Marked})
	}
	return &out
}

// Number returns a value as a number; 0 if it is none.
func (v Values) Number(key string) int {
	n, _ := strconv.Atoi(v[key])
	return n
}

// mark returns a mark; 0 if there is none.
func (v Values) mark() uint64 {
	n, _ := strconv.ParseUint(v["mark"], 0, 32)
	return n
}

// numbered returns the marks that backends have.
func (s *State) numbered() map[uint64]bool {
	used := map[uint64]bool{}
	for _, f := range s.Farms {
		for _, b := range f.Backends {
			used[b.Values.mark()] = true
		}
	}
	return used
}

// largestMark is the largest mark of a backend.
const largestMark = 0xfff

// freeMark returns the lowest mark that no backend has; 0 if all are used.
func freeMark(used map[uint64]bool) uint64 {
	for mark := uint64(1); mark <= largestMark; mark++ {
		if !used[mark] {
			return mark
		}
	}
	return 0
}

func hex(n uint64) string { return "0x" + strconv.FormatUint(n, 16) }
