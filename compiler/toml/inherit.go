package toml

import "farmc/compiler/diag"

// Inherit gives the table the keys of another one that it does not have: tables of both merge, any other value of t
// stays. Values, and items of lists, at the places that isRefused reports are left out, and so are tables and lists in
// which nothing is left. Under does not change, so many tables can inherit from it.
func (t *Table) Inherit(under *Table, isRefused func(at diag.Place) bool) {
	for i, key := range under.values.keys {
		v := under.values.values[i]
		if mine, has := t.values.find(key); has {
			own, isTable := mine.Data.(*Table)
			if theirs, both := v.Data.(*Table); isTable && both {
				own.Inherit(theirs, isRefused)
			}
			continue
		}
		if copied, left := v.copyFor(t, isRefused); left {
			t.values.put(key, copied)
		}
	}
}

// copyFor gives a copy of the value for a table, and whether anything of it is left.
func (v Value) copyFor(parent *Table, isRefused func(at diag.Place) bool) (Value, bool) {
	if isRefused(v.Place) {
		return v, false
	}
	left := true
	switch data := v.Data.(type) {
	case *Table:
		own := newTable(parent, data.Name, data.Place, nil)
		own.inline = data.inline
		own.Inherit(data, isRefused)
		v.Data, left = own, len(own.values.keys) > 0 || len(data.values.keys) == 0
	case []Value:
		items := make([]Value, 0, len(data))
		for _, item := range data {
			if copied, kept := item.copyFor(parent, isRefused); kept {
				items = append(items, copied)
			}
		}
		v.Data, left = items, len(items) > 0 || len(data) == 0
	}
	return v, left
}

// A Leaf is a value of a table that is no table itself, or an empty table.
type Leaf struct {
	Path  []string // its keys, from the table down
	Place diag.Place
}

// Leaves gives all values of the table and of the tables below it, in their order. No key becomes known by it.
func (t *Table) Leaves() []Leaf { return t.leaves(nil) }

func (t *Table) leaves(above []string) (out []Leaf) {
	for i, key := range t.values.keys {
		v, path := t.values.values[i], append(above[:len(above):len(above)], key)
		if below, isTable := v.Data.(*Table); isTable && len(below.values.keys) > 0 {
			out = append(out, below.leaves(path)...)
			continue
		}
		out = append(out, Leaf{path, v.Place})
	}
	return out
}
