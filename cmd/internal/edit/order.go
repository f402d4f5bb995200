package edit

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"farmc/compiler/farm"
)

// An order knows which keys of the farm format are tables, and the order of keys in farms.d/reference.toml, which is
// that of farm.Keys. Keys that the format does not have come last, by name.
type order struct {
	ranks  map[string]map[string]int // of the names of a table, by the table's name in farm.Keys
	tables map[string]bool           // the top-level keys that are tables
}

// limitTable is the name in ranks for the tables of a rate, as in new = { rate = "10/second", burst = 20 }.
const limitTable = "{rate}"

// keyOrder returns the order. It is made once, as that takes longer than most edits.
var keyOrder = sync.OnceValue(func() order {
	o := order{
		ranks:  map[string]map[string]int{limitTable: {"rate": 1, "burst": 2}},
		tables: map[string]bool{},
	}
	for i, key := range farm.Keys() {
		if o.ranks[key.Table] == nil {
			o.ranks[key.Table] = map[string]int{}
		}
		o.ranks[key.Table][key.Name] = i + 1
		if key.Type == farm.TableType || key.Type == farm.TablesType {
			o.tables[key.Name] = true
		}
	}
	return o
})

// names gives the names of a table at a path in their order.
func (o order) names(at []string, table map[string]any) []string {
	names := make([]string, 0, len(table))
	for name := range table {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(o.rank(at, a), o.rank(at, b)), strings.Compare(a, b))
	})
	return names
}

// rank is the place of a name of the table at a path; names that the format does not have come last.
func (o order) rank(at []string, name string) int {
	ranks := o.ranks[tableName(at)]
	return cmp.Or(ranks[name], len(ranks)<<16)
}

// tableName is the name of the table at a path, as ranks has it; "-" if the format has no such table.
func tableName(at []string) string {
	switch {
	case len(at) == 0:
		return ""
	case len(at) == 1 && at[0] != backends:
		return at[0]
	case len(at) == 2 && at[0] == backends:
		return backends
	case len(at) == 2 && at[0] == "limits":
		return limitTable
	case len(at) == 3 && at[0] == backends && at[2] == health:
		return health
	}
	return "-"
}

// Tables of the format: the health of a backend has the keys of the farm's.
const (
	backends = "backends"
	health   = "health"
)

// heading reports whether the format writes the key at a path as a table with a heading.
func (o order) heading(at []string) bool {
	return len(at) == 1 && o.tables[at[0]] || len(at) == 2 && at[0] == backends ||
		len(at) == 3 && tableName(at) == health
}

func below(at []string, name string) []string { return append(at[:len(at):len(at)], name) }
