package nftlb

import (
	"fmt"
	"slices"
)

func (q *request) renameAddress(a *Address, name string) {
	for _, f := range q.Farms {
		if i := slices.Index(f.Addresses, a.Name); i >= 0 {
			q.Farm(f.Name).Addresses[i] = name
		}
	}
	a.Name = name
	q.dropPlaces()
}

// freeAddress returns the name of a new address of a farm.
func (s *State) freeAddress(farm string) string {
	name := farm + "-addr"
	for i := 0; s.Address(name) != nil; i++ {
		name = fmt.Sprintf("%s-addr-%d", farm, i)
	}
	return name
}

// firstOrNew returns the first address of a farm.
func (q *request) firstOrNew(f *Farm) *Address {
	if len(f.Addresses) == 0 {
		f.Addresses = []string{q.makeAddress(q.freeAddress(f.Name)).Name}
	}
	return q.Address(f.Addresses[0])
}

// makeAddress returns the address of a name, which can be new.
func (q *request) makeAddress(name string) *Address {
	a := q.Address(name)
	if a == nil {
		a = &Address{Name: name, Values: addressKind.presets(), order: q.next()}
		q.Addresses = append(q.Addresses, a)
		q.keep(a)
	}
	return a
}

func (q *request) setAddress(a *Address, key, text string) {
	if value, ok := q.read(addressKind, key, text); ok {
		a.set(key, value)
	}
}

// set sets an attribute. Without ports an address has all protocols, until a protocol follows.
func (a *Address) set(key, value string) {
	switch {
	case key == "ports" && value == "0":
		return
	case key == "ports" && value == "":
		a.Values["protocol"] = "all"
	}
	a.Values[key] = value
}

func (q *request) loadAddress(o object) {
	q.address = nil
	q.each(o, "name", map[string]func(object){"policies": q.attachToAddress}, func(key, text string) {
		switch {
		case key == "name" && q.name(text):
			q.address = q.makeAddress(text)
		case key != "name" && !q.unnamed(q.address == nil):
			q.setAddress(q.address, key, text)
		}
	})
}

// loadFarmAddress applies an address within a farm, and attaches it.
func (q *request) loadFarmAddress(o object) {
	if q.unnamed(q.farm == nil) {
		return
	}
	q.loadAddress(o)
	if q.address != nil && q.status == 0 && !slices.Contains(q.farm.Addresses, q.address.Name) {
		q.farm.Addresses = append(q.farm.Addresses, q.address.Name)
	}
}
