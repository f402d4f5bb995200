package live

import (
	"slices"

	"farmc/cmd/internal/permission"
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
	r, found := e.readAll(permissions).Find(name)
	if !found {
		return nil, nil
	}
	return r, slices.Concat(r.DefaultsFaults(), r.Faults(), permissions.Diagnostics())
}

// FarmNames returns the names of the farms in the files, also of faulty ones, in order.
func (e *Engine) FarmNames() (names []string) {
	permissions := e.newPermissions()
	defer permissions.Close()
	for _, r := range e.readAll(permissions) {
		names = append(names, r.Name())
	}
	return names
}

// readAll reads all farms in the files, in the order of their names.
func (e *Engine) readAll(permissions *permission.Check) Readings {
	var ignored diag.Diagnostics
	var cache farm.Cache
	cache.Read(e.sourceDirs(permissions, nil), &ignored)
	return cache.Readings()
}
