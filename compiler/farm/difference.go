package farm

import (
	"slices"
	"strings"
)

// A Difference is the farms that are not the same in two states. A load needs it several times, and 10,000 farms take
// some milliseconds to compare, so it is made once.
type Difference struct {
	Names []string // farms that were added, removed or changed, in order

	before map[string]Description
	after  []*Farm
}

// NewDifference compares descriptions of farms before, by their names, with farms now, in the order of their names. If
// the farms before are not known, before is nil.
func NewDifference(before map[string]Description, after []*Farm) *Difference {
	d := &Difference{before: before, after: after}
	stayed := 0
	for _, f := range after {
		was, had := before[f.Name]
		if had {
			stayed++
		}
		if !had || was != f.Description() {
			d.Names = append(d.Names, f.Name)
		}
	}
	if stayed < len(before) {
		for name := range before {
			if d.After(name) == nil {
				d.Names = append(d.Names, name)
			}
		}
		slices.Sort(d.Names)
	}
	return d
}

// Farms returns the farms as they are now, in the order of their names.
func (d *Difference) Farms() []*Farm { return d.after }

// Before returns a farm before with the keys that its connections depend on, as Recall does; nil if there was none.
func (d *Difference) Before(name string) *Farm { return d.before[name].Recall(name) }

// After returns a farm as it is now, or nil.
func (d *Difference) After(name string) *Farm {
	i, has := slices.BinarySearchFunc(d.after, name, func(f *Farm, name string) int {
		return strings.Compare(f.Name, name)
	})
	if !has {
		return nil
	}
	return d.after[i]
}

// Changes describes the difference as the function of this name does.
func (d *Difference) Changes() []string {
	was, is := make(map[string]Description, len(d.Names)), make(map[string]Description, len(d.Names))
	for _, name := range d.Names {
		if before, had := d.before[name]; had {
			was[name] = before
		}
		if f := d.After(name); f != nil {
			is[name] = f.Description()
		}
	}
	return Changes(was, is)
}
