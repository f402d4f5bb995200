package reload

import (
	"fmt"
	"slices"
	"strings"

	"farmc/compiler/ruleset"
)

// A Counter is the value of an element's counter in the kernel.
type Counter struct{ Packets, Bytes uint64 }

// A CountedElement is an element with a counter that the reload takes over; its key finds it in the kernel.
type CountedElement struct {
	Table string  // the family of the table: inet or netdev
	Map   string  // the name of the map
	Keys  []Field // the types of the parts of its key
	Key   string  // as a script writes it
}

// A counterMove is a count that goes from an element that is to go to one that comes, so that a backend's count doesn't
// shrink when it gets other slots.
type counterMove struct {
	from CountedElement
	to   *ruleset.ScriptLine // nil: no element counts for the backend any more
	of   Uncounted           // without a count, if to is nil
}

// An Uncounted is the count of a backend for which no element counts after the reload, such as one that drains. A
// backend of a set is known by its name, any other by its address.
type Uncounted struct {
	Farm          string
	Name, Address string // one of them is ""
	Packets       uint64
}

// Counted gives the elements with counters that must be read before the reload is written. A missing element counts as
// 0.
func (r *Reload) Counted() []CountedElement {
	out := make([]CountedElement, len(r.moves))
	for i, c := range r.moves {
		out[i] = c.from
	}
	return out
}

// Uncounted gives the counts that have no element any more, of farms that the new script has.
func (r *Reload) Uncounted(counts []Counter) (out []Uncounted) {
	for i, c := range r.moves[:min(len(r.moves), len(counts))] {
		if c.to == nil && counts[i].Packets > 0 {
			of := c.of
			of.Packets = counts[i].Packets
			out = append(out, of)
		}
	}
	return out
}

// moveCounters finds the successors of elements that go.
func (r *Reload) moveCounters(lost []*countingElement) {
	farms := map[string]bool{}
	for _, f := range r.after.Farms {
		farms[f.Name] = true
	}
	counting := newCountingElements(r.differences)
	for _, l := range lost {
		successor := counting.successor(l.in.before, l.line)
		if successor != nil || farms[l.line.Farm] {
			r.moves = append(r.moves, &counterMove{l.counted(l.in.before), successor, l.in.before.uncounted(l.line)})
		}
	}
	for _, k := range counting.rewritten {
		r.moves = append(r.moves, &counterMove{from: k.counted(k.in.after), to: k.successor})
	}
}

// A countingElement is an element with a counter, of a set that is changed or kept.
type countingElement struct {
	family    ruleset.TableFamily
	in        *change
	line      ruleset.ScriptLine
	successor *ruleset.ScriptLine // of an element that is kept: the element written in its place
}

func (c *countingElement) counted(in *scriptObject) CountedElement {
	return CountedElement{string(c.family), in.Name, in.fields(), elementKey(c.line)}
}

func lostElements(differences []*difference) (lost []*countingElement) {
	for _, d := range differences {
		for _, c := range d.changes {
			if c.before == nil || !c.before.hasCounters() {
				continue
			}
			for _, e := range c.removed {
				lost = append(lost, &countingElement{family: d.family, in: c, line: e})
			}
		}
	}
	return lost
}

// setCounters writes counts into the elements that they go to.
func (r *Reload) setCounters(counts []Counter) {
	sums := map[*ruleset.ScriptLine]Counter{}
	for i, c := range r.moves[:min(len(r.moves), len(counts))] {
		if c.to == nil {
			continue
		}
		sum := sums[c.to]
		sums[c.to] = Counter{sum.Packets + counts[i].Packets, sum.Bytes + counts[i].Bytes}
	}
	for line, sum := range sums {
		if sum != (Counter{}) {
			key := elementKey(*line)
			counter := fmt.Sprintf(" counter packets %d bytes %d", sum.Packets, sum.Bytes)
			line.Text = key + counter + line.Text[len(key):]
		}
	}
}

// countingElements are the counting elements that a reload writes, by the backend that they count for.
type countingElements struct {
	differences []*difference
	successors  map[string]*ruleset.ScriptLine
	kept        map[string]map[string]*countingElement // by farm, found at the first question
	// kept elements that are deleted and written again with higher counters
	rewritten []*countingElement
}

func newCountingElements(differences []*difference) *countingElements {
	cs := &countingElements{
		differences: differences,
		successors:  map[string]*ruleset.ScriptLine{},
		kept:        map[string]map[string]*countingElement{},
	}
	for _, d := range differences {
		for _, c := range d.changes {
			if c.after == nil || !c.after.hasCounters() || len(c.added) == 0 {
				continue
			}
			c.added = slices.Clone(c.added) // they are written to
			for i := range c.added {
				for _, name := range c.after.counterOwners(c.added[i]) {
					if cs.successors[name] == nil {
						cs.successors[name] = &c.added[i]
					}
				}
			}
		}
	}
	return cs
}

// successor gives the element that goes on counting for one that goes: written by the reload, or else kept, if there is
// any.
func (cs *countingElements) successor(in *scriptObject, e ruleset.ScriptLine) *ruleset.ScriptLine {
	names := in.counterOwners(e)
	for _, name := range names {
		if to := cs.successors[name]; to != nil {
			return to
		}
	}
	if cs.kept[e.Farm] == nil {
		cs.kept[e.Farm] = keptElements(cs.differences, e.Farm)
	}
	for _, name := range names {
		if kept := cs.kept[e.Farm][name]; kept != nil {
			return cs.rewrite(kept)
		}
	}
	return nil
}

// rewrite has a kept element deleted and written again, and gives the new one.
func (cs *countingElements) rewrite(k *countingElement) *ruleset.ScriptLine {
	k.in.removed = append(slices.Clip(k.in.removed), k.line)
	successor := k.line
	k.successor = &successor
	k.in.rewritten = append(k.in.rewritten, k.successor)
	for _, name := range k.in.after.counterOwners(k.line) {
		cs.successors[name] = k.successor
	}
	cs.rewritten = append(cs.rewritten, k)
	return k.successor
}

// keptElements gives the kept elements of a farm that count.
func keptElements(differences []*difference, farm string) map[string]*countingElement {
	out := map[string]*countingElement{}
	for _, d := range differences {
		for _, c := range d.changes {
			if c.before == nil || c.after == nil || !c.after.hasCounters() || c.create || c.refill {
				continue
			}
			comes := map[string]bool{}
			for _, e := range c.added {
				comes[e.Text] = true
			}
			for _, e := range c.after.elementsOf(farm) {
				if comes[e.Text] {
					continue
				}
				k := &countingElement{family: d.family, in: c, line: e}
				for _, name := range c.after.counterOwners(e) {
					if out[name] == nil {
						out[name] = k
					}
				}
			}
		}
	}
	return out
}

// counterOwners gives names for the backend that an element counts for, the closest match first: at its frontend, in
// its farm, in its farm on any port. An element of a set counts for the backend that its comment names, any other
// element without an address or a backend ID for its own key.
func (o *scriptObject) counterOwners(e ruleset.ScriptLine) []string {
	if backend, ok := elementComment(e); ok {
		return []string{"set " + o.Name + " : " + backend, "farm " + e.Farm + " : backend " + backend}
	}
	value := elementValue(e)
	address, _, _ := strings.Cut(value, " . ")
	if !strings.ContainsAny(address, ".:") && !strings.HasPrefix(address, "0x") || strings.Contains(address, " ") {
		return []string{"key " + o.Name + " " + elementKey(e)}
	}
	frontend := o.Name
	if at := strings.LastIndex(elementKey(e), " . "); at >= 0 {
		frontend = elementKey(e)[:at]
	}
	names := []string{"frontend " + frontend + " : " + value}
	if e.Farm != "" {
		names = append(names, "farm "+e.Farm+" : "+value, "farm "+e.Farm+" : "+address)
	}
	return names
}

// uncounted gives the backend that an element counts for.
func (o *scriptObject) uncounted(e ruleset.ScriptLine) Uncounted {
	if backend, ok := elementComment(e); ok {
		return Uncounted{Farm: e.Farm, Name: backend}
	}
	address, _, _ := strings.Cut(elementValue(e), " . ")
	return Uncounted{Farm: e.Farm, Address: address}
}
