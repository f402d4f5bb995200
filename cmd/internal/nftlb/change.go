package nftlb

import (
	"bytes"
	"maps"
	"reflect"
	"slices"

	"farmc/cmd/internal/edit"
)

// A FarmChange is the change of the files of a farm.
type FarmChange struct {
	Name            string
	Before, After   edit.Document // nil: there is no such farm
	WasAside, Aside bool          // it is in a file that farmc does not read
	ByPerson        bool          // a person made the farm
}

// A ListChange is the change of a list.
type ListChange struct {
	Name      string
	Text      []byte   // nil: the list goes
	Elements  []string // of the new text
	ByPerson  bool     // a person made the list, so that its other lines count, too
	Attribute bool     // an attribute changes, for which the list of a person has no place
}

// Changes are the files that differ between two states.
type Changes struct {
	Farms   []FarmChange
	Filters []FarmChange // of addresses without a farm
	Lists   []ListChange
	Loose   bool // the text of Loose is another one
}

// Changes returns the changes to a later state.
func (s *State) Changes(later *State, marks Marks) Changes {
	out := Changes{Loose: !bytes.Equal(s.Loose(), later.Loose())}
	same := s.sameTypes(later)
	for _, f := range later.Farms {
		if s.sameFarm(f, later, same) {
			continue
		}
		c := FarmChange{Name: f.Name, After: later.Saved(f, marks), Aside: !later.listens(f) || f.refused}
		if old := s.Farm(f.Name); old != nil {
			c.Before, c.WasAside, c.ByPerson = s.Saved(old, marks), old.aside, !old.own
		}
		if !reflect.DeepEqual(c.Before, c.After) || c.Before != nil && f.refused && !c.WasAside {
			out.Farms = append(out.Farms, c)
		}
	}
	for _, f := range s.Farms {
		if later.Farm(f.Name) == nil {
			out.Farms = append(out.Farms, FarmChange{Name: f.Name, Before: s.Saved(f, marks), WasAside: f.aside,
				ByPerson: !f.own})
		}
	}
	out.Lists = s.listChanges(later)
	out.Filters = filterChanges(s.filters(), later.filters())
	return out
}

func (s *State) listChanges(later *State) (out []ListChange) {
	for _, p := range later.Policies {
		old := s.Policy(p.Name)
		if old != nil && (old == p || bytes.Equal(old.Text(), p.Text())) {
			continue
		}
		c := ListChange{Name: p.Name, Text: p.Text(), Elements: p.Elements}
		if old != nil {
			c.ByPerson, c.Attribute = !old.own, !maps.Equal(old.Values, p.Values)
		}
		out = append(out, c)
	}
	for _, p := range s.Policies {
		if later.Policy(p.Name) == nil {
			out = append(out, ListChange{Name: p.Name, ByPerson: !p.own})
		}
	}
	return out
}

// sameTypes reports whether both states have the same policies, with the same types.
func (s *State) sameTypes(later *State) bool {
	return slices.EqualFunc(s.Policies, later.Policies, func(p, q *Policy) bool {
		return p == q || p.Name == q.Name && p.Values["type"] == q.Values["type"]
	})
}

// sameFarm reports whether a farm of a later state, its addresses, and the types of policies have not changed, so that
// its document is the same.
func (s *State) sameFarm(f *Farm, later *State, sameTypes bool) bool {
	same := sameTypes && s.Farm(f.Name) == f
	for _, name := range f.Addresses {
		same = same && s.Address(name) == later.Address(name)
	}
	return same
}

// Any reports whether there is a change.
func (c Changes) Any() bool { return len(c.Farms)+len(c.Filters)+len(c.Lists) > 0 || c.Loose }

// Farm reports whether a farm changes.
func (c Changes) Farm(name string) bool {
	is := func(f FarmChange) bool { return f.Name == name }
	return slices.ContainsFunc(c.Farms, is) || slices.ContainsFunc(c.Filters, is)
}

// FindDevices gives farms in mode dsr that name no interface the one that leads to a backend, as nftlb does.
func (s *State) FindDevices(leading func(address string) string) {
	for _, f := range s.Farms {
		if f.Values["mode"] != "dsr" {
			continue
		}
		for _, b := range f.Backends {
			if f.Values["iface"] == "" && b.Values["ip-addr"] != "" {
				f = s.ownFarm(f.Name)
				f.Values["iface"] = leading(b.Values["ip-addr"])
			}
		}
	}
}

// Patch returns the merge patch from one document to another.
func Patch(before, after map[string]any) edit.Document {
	patch := edit.Document{}
	for key := range before {
		if _, stays := after[key]; !stays {
			patch[key] = nil
		}
	}
	for key, value := range after {
		old, was := before[key].(map[string]any)
		now, is := value.(map[string]any)
		switch {
		case reflect.DeepEqual(before[key], value):
		case was && is:
			patch[key] = map[string]any(Patch(old, now))
		default:
			patch[key] = value
		}
	}
	return patch
}

// SetAside marks a farm that farmc refuses; false if there is none, if a person made it, or if it is marked already.
func (s *State) SetAside(name string) bool {
	f := s.Farm(name)
	switch {
	case f == nil:
		return s.dropFilter(name)
	case f.refused, !f.own:
		return false
	}
	s.ownFarm(name).refused = true
	return true
}
