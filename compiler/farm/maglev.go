package farm

import (
	"slices"

	"farmc/compiler/addr"
	"farmc/compiler/slots"
	"farmc/compiler/toml"
)

// HasMaglevTable reports whether the slots of the farm are a table of maglev: another weight moves few of them. A slow
// start changes weights in steps, and by a hash the number of slots, which then are small, depends on all weights.
func (f *Farm) HasMaglevTable() bool {
	return f.Scheduler == Maglev || f.Scheduler.Deterministic() && f.startsSlowly()
}

// startsSlowly reports whether the weight of a backend of the farm can rise in steps.
func (f *Farm) startsSlowly() bool {
	own := func(b *Backend) bool { return b.Health != nil && b.Health.SlowStart > 0 }
	return f.Health != nil && f.Health.SlowStart > 0 || f.anyBackend(own) ||
		slices.ContainsFunc(f.Hosts, func(h Host) bool { return own(&h.inFiles) })
}

// MaglevSize is the size of the farm's table. All its backends count, also backends that are down: otherwise one that
// goes down could change the size, and move the clients of all others.
func (f *Farm) MaglevSize(family addr.Family) int {
	if f.TableSize != 0 {
		return f.TableSize
	}
	return slots.MaglevSize(f.weights(family))
}

// weights gives the weights of all backends of the family, in any state.
func (f *Farm) weights(family addr.Family) []int {
	var out []int
	for _, b := range f.Backends {
		if b.Address.Has(family) {
			out = append(out, b.Weight)
		}
	}
	return out
}

// readTableSize reads the size of maglev's table, a prime so that every backend's way through it meets every slot.
func readTableSize(k *Key, t *toml.Table, f *Farm) {
	n := t.Number(k.Name, 0, k.Least, k.Most)
	for d := 2; d*d <= n; d++ {
		if n%d == 0 {
			t.Fault(t.At("table-size"), "a prime: 251, 1021, 4093, 65537", "table-size: %d is %d times %d", n, d, n/d)
			return
		}
	}
	f.TableSize = n
}
