package nftlb

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"farmc/cmd/internal/edit"
)

// nftlb filters the packets to an address that has policies and no farm, whichever program serves there. In farmc this
// is a farm in mode local of its own.

// filterPrefix begins the names of these farms.
const filterPrefix = "filter-of-"

// filterAnnotation marks the document of such a farm: its address is in the text of Loose.
const filterAnnotation = "filter"

// Filters are the addresses that have policies and no farm.
func (s *State) Filters() (out []*Address) {
	users := s.users()
	for _, a := range s.Addresses {
		if users[a.Name] == 0 && len(a.Policies) > 0 {
			out = append(out, a)
		}
	}
	return out
}

// filterFarm is the farm that filters for one address.
func filterFarm(a *Address) *Farm {
	v := farmKind.presets()
	v["mode"], v["verdict"] = "local", a.Values["verdict"]
	return &Farm{Name: a.Name, Values: v, Addresses: []string{a.Name}}
}

// filters are the documents of the farms that filter, by the names of the farms. Whitelists alone filter nothing.
func (s *State) filters() map[string]edit.Document {
	out := map[string]edit.Document{}
	for _, a := range s.Filters() {
		name := filterPrefix + a.Name
		d, _ := s.Document(filterFarm(a), MarksNone)
		if d["access"] == nil || d["listen"] == nil || s.Farm(name) != nil || s.idle[name] {
			continue
		}
		d["annotations"] = map[string]any{annotation: filterAnnotation}
		out[name] = d
	}
	return out
}

// Idle are the addresses with policies that have no farm and no filter.
func (s *State) Idle() (out []*Address) {
	all := s.filters()
	return slices.DeleteFunc(s.Filters(), func(a *Address) bool { return all[filterPrefix+a.Name] != nil })
}

// IsFilter reports whether a document is that of a farm that filters for an address.
func IsFilter(d edit.Document) bool { return table(d, "annotations")[annotation] == filterAnnotation }

// filterChanges are the farms that filter, and that differ between two states.
func filterChanges(before, after map[string]edit.Document) (out []FarmChange) {
	names := slices.AppendSeq(slices.Collect(maps.Keys(before)), maps.Keys(after))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if !reflect.DeepEqual(before[name], after[name]) {
			out = append(out, FarmChange{Name: name, Before: before[name], After: after[name]})
		}
	}
	return out
}

// dropFilter leaves out the farm that filters for an address; false if there is none.
func (s *State) dropFilter(name string) bool {
	address, is := strings.CutPrefix(name, filterPrefix)
	if !is || s.idle[name] || s.Address(address) == nil {
		return false
	}
	idle := map[string]bool{name: true}
	maps.Copy(idle, s.idle)
	s.idle = idle
	return true
}
