package live

import (
	"context"
	"slices"
	"time"

	"farmc/cmd/internal/machine"
	"farmc/cmd/internal/statedir"
	"farmc/compiler/farm"
	"farmc/compiler/reload"
)

// A counting is the content of counts.json. The counts of a backend are those of its elements in the kernel, and the
// packets in Earlier. They belong to the table with the handle, in this boot: any other table was made by another
// program, and has counted since an unknown time.
type counting struct {
	Table uint64    `json:"table"`
	Boot  string    `json:"boot"`
	Since time.Time `json:"since"` // of all backends that Later lacks; zero: unknown

	Later   map[string]map[string]time.Time `json:"later,omitempty"`   // by farm and backend, which came later
	Earlier map[string]map[string]uint64    `json:"earlier,omitempty"` // counts of elements that are gone
}

// recordCounts records a load: the backends that begin to count, and the counts that have no element any more. If the
// record cannot be written, the old one stays: it does not apply to a new table.
func (e *Engine) recordCounts(ctx context.Context, p *Plan) {
	table, err := e.Nft.TableHandle(ctx)
	if err != nil || p.scriptOnly {
		return
	}
	c := e.counting()
	changed := c.adopt(table, p, time.Now().UTC().Truncate(time.Second))
	if changed {
		e.Store.Note(statedir.CountsFile, c)
	}
}

// adopt brings the record up to date with a load, and reports whether it changed.
func (c *counting) adopt(table uint64, p *Plan, now time.Time) (changed bool) {
	switch {
	case p.table == 0: // there were no counters
		*c = counting{Table: table, Boot: machine.BootID(), Since: now}
		return true
	case !machine.IsThisBoot(c.Boot) && !c.Since.IsZero(): // the counters began after the boot
		*c = counting{Since: machine.BootTime()}
	case c.Table != p.table || p.Before.Farms == nil: // another program made the table
		*c = counting{}
	}
	changed = c.Table != table
	c.Table, c.Boot = table, machine.BootID()
	d := p.difference()
	for _, name := range d.Names {
		changed = c.update(d.Before(name), d.After(name), name, now) || changed
	}
	for _, u := range p.uncounted {
		changed = c.keep(u, d.After(u.Farm)) || changed
	}
	return changed
}

// update notes the new backends of a farm, and forgets the ones that are gone. The farm is nil if it is gone itself.
func (c *counting) update(was, is *farm.Farm, name string, now time.Time) bool {
	earlier, later := c.Earlier[name], c.Later[name]
	changed := len(earlier)+len(later) > 0
	delete(c.Earlier, name)
	delete(c.Later, name)
	if is == nil {
		return changed
	}
	for _, b := range is.Backends {
		before := predecessor(was, b)
		if before == nil {
			changed = true
			put(&c.Later, name, b.Name, now)
			continue
		}
		if t, ok := later[before.Name]; ok {
			put(&c.Later, name, b.Name, t)
		}
		if n, ok := earlier[before.Name]; ok {
			put(&c.Earlier, name, b.Name, n)
		}
	}
	return changed
}

// predecessor returns the backend whose counts a backend takes over, or nil. Counters of tracked connections are known
// by the address, others by the name.
func predecessor(was *farm.Farm, b farm.Backend) *farm.Backend {
	if was == nil {
		return nil
	}
	i := slices.IndexFunc(was.Backends, func(o farm.Backend) bool {
		return o.Name == b.Name && (o.Address == b.Address || !was.Tracked())
	})
	if i < 0 {
		i = slices.IndexFunc(was.Backends, func(o farm.Backend) bool { return was.Tracked() && o.Address == b.Address })
	}
	if i < 0 {
		return nil
	}
	return &was.Backends[i]
}

// keep adds the count of a backend without an element. The backend is known by its name or an address. The farm is nil
// if it is gone.
func (c *counting) keep(u reload.Uncounted, f *farm.Farm) bool {
	if f == nil {
		return false
	}
	for _, b := range f.Backends {
		for _, a := range b.Address.All() {
			if b.Name == u.Name || u.Name == "" && a.String() == u.Address {
				put(&c.Earlier, f.Name, b.Name, c.Earlier[f.Name][b.Name]+u.Packets)
				return true
			}
		}
	}
	return false
}

// put sets a value in a map of maps.
func put[V any](m *map[string]map[string]V, farm, backend string, value V) {
	if *m == nil {
		*m = map[string]map[string]V{}
	}
	if (*m)[farm] == nil {
		(*m)[farm] = map[string]V{}
	}
	(*m)[farm][backend] = value
}

// since returns the time from which the counts of a backend are complete; zero: unknown.
func (c counting) since(farm, backend string) time.Time {
	if t, ok := c.Later[farm][backend]; ok {
		return t
	}
	return c.Since
}

// of returns the record as it applies to the table in the kernel.
func (c counting) of(table uint64) counting {
	switch {
	case c.Since.IsZero() && len(c.Later) == 0:
		return counting{}
	case !machine.IsThisBoot(c.Boot):
		return counting{Since: machine.BootTime()}
	case c.Table != table:
		return counting{}
	}
	return c
}

// counting returns the record of the counts.
func (e *Engine) counting() (c counting) {
	if !e.Store.Recall(statedir.CountsFile, &c) {
		return counting{}
	}
	return c
}
