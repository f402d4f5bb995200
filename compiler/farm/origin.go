package farm

import (
	"slices"
	"strconv"

	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// Origins gives the place of each value of Document, in any order.
func (r *Reading) Origins() []toml.Leaf {
	t := r.table()
	if t == nil {
		return nil
	}
	return t.Leaves()
}

// DefaultsFaults gives the faults of the defaults in the directory of the farm. With a fault among them the farm is not
// read.
func (r *Reading) DefaultsFaults() diag.Diagnostics {
	if r.files.defaults == nil {
		return nil
	}
	return r.files.defaults.faults
}

// BuiltIn gives the values that the farm has because its files do not say otherwise, by the names of their tables and
// keys. The farm itself has the name "". Tables that the farm does not have are left out, and so are backends.
func (r *Reading) BuiltIn() map[string]map[string]any {
	t, out := r.table(), map[string]map[string]any{}
	if t == nil || r.farm == nil {
		return nil
	}
	for _, table := range farmTables {
		in := t
		if table.name != "" {
			in = t.Table(table.name)
		}
		for i := range table.keys {
			k := table.keys[i].Key
			k.Table, k.Type = table.name, table.keys[i].kind
			if in == nil || in.Gives(k.Name) || k.Default == "" || !r.farm.uses(&k) {
				continue
			}
			if out[table.name] == nil {
				out[table.name] = map[string]any{}
			}
			out[table.name][k.Name] = r.farm.builtIn(&k)
		}
	}
	return out
}

// uses reports whether a key has an effect on the farm.
func (f *Farm) uses(k *Key) bool {
	limits := f.Limits
	switch {
	case !k.worksIn(f.Mode):
		return false
	case k.Table == "health" && k.Types != nil:
		return f.Health != nil && slices.Contains(k.Types, f.Health.Type)
	case k.Table == "limits" && k.Name == "clients":
		return limits.NewPerClient.Count > 0 || limits.ResetsPerClient.Count > 0 || limits.ConnectionsPerClient > 0
	case k.Table == "" && k.Name == "hash-on":
		return f.hashesOn() != ""
	}
	return k.Table != "" || k.Name != inheritKey
}

// builtIn gives the default of a key in this farm.
func (f *Farm) builtIn(k *Key) any {
	switch {
	case k.Table == "" && k.Name == "scheduler":
		return defaultScheduler(f)
	case k.Table == "" && k.Name == "local-clients":
		return f.localClientsByDefault()
	case k.Type == FlagType:
		return k.Default == "true"
	case k.Type == NumberType:
		n, _ := strconv.ParseInt(k.Default, 10, 64)
		return n
	}
	return k.Default
}
