package farm

import (
	"cmp"
	"slices"

	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

// mergeDropIns merges the drop-ins of a farm into its table, or only parses them if there is no table. An empty drop-in
// has no effect. A table for a backend that the farm does not have is left out: a health checker can know a backend
// longer than the farm does, and must not keep other backends from being taken out.
func mergeDropIns(t *toml.Table, files farmFiles, faults *diag.Diagnostics) {
	var names map[string]bool // of the backends of the main file
	if t != nil && len(files.dropIns) > 0 {
		names = backendNames(t)
	}
	var stale []staleBackend
	for _, d := range files.dropIns {
		if toml.Blank(d.text) {
			*faults = append(*faults, diag.Diagnostic{Severity: diag.Warning, Place: diag.Place{File: d.path},
				Message: "the file is empty, so it has no effect"})
			continue
		}
		over := toml.Parse(d.path, d.text, faults)
		if t == nil || over == nil {
			continue
		}
		stale = append(stale, unknownBackends(over, names)...)
		t.Merge(over)
	}
	removeStale(t, stale, files.name)
}

func backendNames(t *toml.Table) map[string]bool {
	names := map[string]bool{}
	for name := range t.Tables("backends") {
		names[name] = true
	}
	return names
}

// A staleBackend is a table of a drop-in for a backend that may not exist.
type staleBackend struct {
	name  string
	place diag.Place
}

// unknownBackends gives the tables of a drop-in for backends without these names, in the order of the file.
func unknownBackends(over *toml.Table, names map[string]bool) []staleBackend {
	var out []staleBackend
	for name, table := range over.Tables("backends") {
		if !names[name] {
			out = append(out, staleBackend{name, table.Place})
		}
	}
	slices.SortFunc(out, func(a, b staleBackend) int {
		return cmp.Or(cmp.Compare(a.place.Line, b.place.Line), cmp.Compare(a.place.Column, b.place.Column))
	})
	return out
}

// removeStale removes the backends that no drop-in gives an address, with a warning for each drop-in that names one. A
// misspelt address is a fault instead.
func removeStale(t *toml.Table, stale []staleBackend, farm string) {
	if len(stale) == 0 {
		return
	}
	removed := map[string]bool{}
	merged := t.Tables("backends")
	for _, s := range stale {
		if host, _, ok := SplitAddressName(s.name); ok && merged[host] != nil {
			continue // setAddresses reads it
		}
		if b := merged[s.name]; b != nil && !b.Has("address") && !b.Misspelt("address") {
			removed[s.name] = true
			t.Warn(s.place, "farm %s has no backend %q, so the table is ignored", farm, s.name)
		}
	}
	t.RemoveTables("backends", removed)
}
