package compiler

import (
	"fmt"
	"slices"
	"strings"
)

// A Count is what an element of the kernel's has counted.
type Count struct{ Packets, Bytes uint64 }

// A Counted is an element whose count goes over into the reload, as the kernel finds it.
type Counted struct {
	Table string // its family
	Map   string
	Keys  []Field // what the map's declaration says of the parts of its key
	Key   string  // in the words of a script
}

// A carry is a count that goes from an element that is to go to one that comes, so that a backend's count doesn't shrink
// when it gets other slots.
type carry struct {
	from Counted
	to   *ScriptLine
}

// Counted are the elements whose counts are to be read before the reload is written. What isn't there any more counts
// as nothing.
func (r *Reload) Counted() []Counted {
	out := make([]Counted, len(r.carries))
	for i, c := range r.carries {
		out[i] = c.from
	}
	return out
}

// carry finds who gets the counts of elements that go.
func (r *Reload) carry() {
	lost := lostScorers(r.differences)
	scorers := newScorers(r.differences)
	for _, l := range lost {
		if heir := scorers.heir(l.in.before, l.line); heir != nil {
			r.carries = append(r.carries, &carry{l.counted(l.in.before), heir})
		}
	}
	for _, k := range scorers.taken {
		r.carries = append(r.carries, &carry{k.counted(k.in.after), k.heir})
	}
}

// A scorer is an element that counts, of a set that is changed or kept.
type scorer struct {
	family TableFamily
	in     *change
	line   ScriptLine
	heir   *ScriptLine // of one that is kept: what is written in its place
}

func (c *scorer) counted(in *scriptObject) Counted {
	return Counted{string(c.family), in.Name, in.fields(), elementKey(c.line)}
}

func lostScorers(differences []*difference) (lost []*scorer) {
	for _, d := range differences {
		for _, c := range d.changes {
			if c.before == nil || !c.before.counts() {
				continue
			}
			for _, e := range c.removed {
				lost = append(lost, &scorer{family: d.family, in: c, line: e})
			}
		}
	}
	return lost
}

// recount writes counts into the elements that they go to.
func (r *Reload) recount(counts []Count) {
	sums := map[*ScriptLine]Count{}
	for i, c := range r.carries[:min(len(r.carries), len(counts))] {
		sum := sums[c.to]
		sums[c.to] = Count{sum.Packets + counts[i].Packets, sum.Bytes + counts[i].Bytes}
	}
	for line, sum := range sums {
		if sum != (Count{}) {
			key := elementKey(*line)
			line.Text = fmt.Sprintf("%s counter packets %d bytes %d%s", key, sum.Packets, sum.Bytes, line.Text[len(key):])
		}
	}
}

// scorers are the elements that count and are written by a reload, by whom they count for.
type scorers struct {
	differences []*difference
	heirs       map[string]*ScriptLine
	kept        map[string]map[string]*scorer // by farm, once somebody has asked
	taken       []*scorer                     // those of the kept that are deleted and written again, with more counts
}

func newScorers(differences []*difference) *scorers {
	cs := &scorers{differences: differences, heirs: map[string]*ScriptLine{}, kept: map[string]map[string]*scorer{}}
	for _, d := range differences {
		for _, c := range d.changes {
			if c.after == nil || !c.after.counts() || len(c.added) == 0 {
				continue
			}
			c.added = slices.Clone(c.added) // they are written to
			for i := range c.added {
				for _, name := range c.after.countNames(c.added[i]) {
					if cs.heirs[name] == nil {
						cs.heirs[name] = &c.added[i]
					}
				}
			}
		}
	}
	return cs
}

// heir gives the element that goes on counting for one that goes: written by the reload, or else kept, if there is any.
func (cs *scorers) heir(in *scriptObject, e ScriptLine) *ScriptLine {
	names := in.countNames(e)
	for _, name := range names {
		if to := cs.heirs[name]; to != nil {
			return to
		}
	}
	if cs.kept[e.Farm] == nil {
		cs.kept[e.Farm] = keptScorers(cs.differences, e.Farm)
	}
	for _, name := range names {
		if kept := cs.kept[e.Farm][name]; kept != nil {
			return cs.take(kept)
		}
	}
	return nil
}

// take has a kept element written again.
func (cs *scorers) take(k *scorer) *ScriptLine {
	k.in.removed = append(slices.Clip(k.in.removed), k.line)
	heir := k.line
	k.heir = &heir
	k.in.rewritten = append(k.in.rewritten, k.heir)
	for _, name := range k.in.after.countNames(k.line) {
		cs.heirs[name] = k.heir
	}
	cs.taken = append(cs.taken, k)
	return k.heir
}

// keptScorers are those of a farm.
func keptScorers(differences []*difference, farm string) map[string]*scorer {
	out := map[string]*scorer{}
	for _, d := range differences {
		for _, c := range d.changes {
			if c.before == nil || c.after == nil || !c.after.counts() || c.made || c.refill {
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
				k := &scorer{family: d.family, in: c, line: e}
				for _, name := range c.after.countNames(e) {
					if out[name] == nil {
						out[name] = k
					}
				}
			}
		}
	}
	return out
}

// countNames tell for whom an element counts, the closest first: the backend at its door, in its farm, in its farm on
// whatever port. What leads to no address, nor to a mark that stands for one, counts for its own key.
func (o *scriptObject) countNames(e ScriptLine) []string {
	value := elementValue(e)
	address, _, _ := strings.Cut(value, " . ")
	if !strings.ContainsAny(address, ".:") && !strings.HasPrefix(address, "0x") || strings.Contains(address, " ") {
		return []string{"key " + o.Name + " " + elementKey(e)}
	}
	door := o.Name
	if at := strings.LastIndex(elementKey(e), " . "); at >= 0 {
		door = elementKey(e)[:at]
	}
	names := []string{"door " + door + " : " + value}
	if e.Farm != "" {
		names = append(names, "farm "+e.Farm+" : "+value, "farm "+e.Farm+" : "+address)
	}
	return names
}
