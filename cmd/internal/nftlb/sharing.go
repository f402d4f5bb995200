package nftlb

import (
	"maps"
	"slices"
)

// An index finds objects of a list by name. It follows additions to the list by itself. Whatever removes an object, or
// gives it another name, has to drop it.
type index struct {
	at    map[string]int
	known int // that many objects of the list are in it
}

// find returns the place of a name in a list with so many objects; -1 if it has none.
func (i *index) find(count int, nameOf func(int) string, name string) int {
	if i.at == nil {
		i.at, i.known = make(map[string]int, count), 0
	}
	for ; i.known < count; i.known++ {
		i.at[nameOf(i.known)] = i.known
	}
	if at, has := i.at[name]; has {
		return at
	}
	return -1
}

func (i index) clone() index { return index{maps.Clone(i.at), i.known} }

// places are the indexes of the lists of a state.
type places struct{ farms, policies, addresses index }

// dropPlaces forgets where objects are.
func (s *State) dropPlaces() { s.places = places{} }

// findPlaces builds the indexes, so that several goroutines can read the state.
func (s *State) findPlaces() {
	s.Farm("")
	s.Policy("")
	s.Address("")
}

func (s *State) farmAt(name string) int {
	return s.places.farms.find(len(s.Farms), func(i int) string { return s.Farms[i].Name }, name)
}

func (s *State) policyAt(name string) int {
	return s.places.policies.find(len(s.Policies), func(i int) string { return s.Policies[i].Name }, name)
}

func (s *State) addressAt(name string) int {
	return s.places.addresses.find(len(s.Addresses), func(i int) string { return s.Addresses[i].Name }, name)
}

// at returns an object of a list; nil for a place below 0.
func at[T any](all []*T, place int) *T {
	if place < 0 {
		return nil
	}
	return all[place]
}

// Clone returns a state with the same objects. Changes to one of the two have to go through its methods with "own",
// which put a copy of the object into the place of a shared one.
func (s *State) Clone() *State {
	p := s.places
	return &State{Farms: slices.Clone(s.Farms), Policies: slices.Clone(s.Policies),
		Addresses: slices.Clone(s.Addresses),
		places:    places{p.farms.clone(), p.policies.clone(), p.addresses.clone()}}
}

// owned returns an object of a list to change; nil for a place below 0.
func owned[T any](s *State, all []*T, place int, clone func(*T) *T) *T {
	if place < 0 {
		return nil
	}
	if !s.mine[all[place]] {
		all[place] = clone(all[place])
		s.keep(all[place])
	}
	return all[place]
}

// keep notes that no other state has the object.
func (s *State) keep(object any) {
	if s.mine == nil {
		s.mine = map[any]bool{}
	}
	s.mine[object] = true
}

// ownFarm returns the farm of a name to change it; nil if there is none.
func (s *State) ownFarm(name string) *Farm { return owned(s, s.Farms, s.farmAt(name), (*Farm).clone) }

// ownPolicy returns the policy of a name to change it; nil if there is none.
func (s *State) ownPolicy(name string) *Policy {
	return owned(s, s.Policies, s.policyAt(name), (*Policy).clone)
}

// ownAddress returns the address of a name to change it; nil if there is none.
func (s *State) ownAddress(name string) *Address {
	return owned(s, s.Addresses, s.addressAt(name), (*Address).clone)
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

func (p *Policy) clone() *Policy {
	return &Policy{p.Name, maps.Clone(p.Values), slices.Clone(p.Elements), p.order, p.own}
}

func (a *Address) clone() *Address {
	return &Address{a.Name, maps.Clone(a.Values), slices.Clone(a.Policies), a.written, a.order}
}

// The objects that a request finds are its own, as it is about to change them.

// Farm returns the farm of a name; nil if there is none.
func (q *request) Farm(name string) *Farm { return q.ownFarm(name) }

// Policy returns the policy of a name; nil if there is none.
func (q *request) Policy(name string) *Policy { return q.ownPolicy(name) }

// Address returns the address of a name; nil if there is none.
func (q *request) Address(name string) *Address { return q.ownAddress(name) }
