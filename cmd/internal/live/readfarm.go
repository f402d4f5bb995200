package live

import (
	"slices"
	"strings"

	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

// ReadFarm reads one farm in the files, with the lists that it names. The diagnostics are about this farm alone. The
// farm is nil if there is none of that name, or if it has faults.
func (e *Engine) ReadFarm(name string) (*farm.Farm, diag.Diagnostics) {
	r, diagnostics := e.ReadingOf(name)
	if r == nil || diagnostics.Faulty() {
		return nil, diagnostics
	}
	return r.Farm(), diagnostics
}

// ReadingOf is ReadFarm for a farm that may have faults: it is nil if there is none of that name.
func (e *Engine) ReadingOf(name string) (*farm.Reading, diag.Diagnostics) {
	permissions := e.newPermissions()
	defer permissions.Close()
	var ignored diag.Diagnostics
	var cache farm.Cache
	cache.Read(e.sourceDirs(permissions, nil), &ignored)
	i, found := slices.BinarySearchFunc(cache.Readings(), name, func(r *farm.Reading, name string) int {
		return strings.Compare(r.Name(), name)
	})
	if !found {
		return nil, nil
	}
	r := cache.Readings()[i]
	return r, slices.Concat(r.DefaultsFaults(), r.Faults(), permissions.Diagnostics())
}
