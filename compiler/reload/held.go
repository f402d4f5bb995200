package reload

import (
	"strconv"
	"strings"

	"farmc/compiler/ruleset"
)

// A HeldObject is an object in one of farmc's tables in the kernel, without its content. The numbers are the kernel's.
type HeldObject struct {
	Family string
	Kind   string // in nft's words: chain, set, map, flowtable, ct helper, ...
	Name   string

	Hooked   bool   // of a chain: packets come to it from a hook
	Dynamic  bool   // of a set: packets fill it
	TimesOut bool   // of a set: its elements go after a time
	Keys     uint32 // of a set: the type of its keys
	Values   uint32 // of a map: the type of its values
}

// verdictType is the type of values that are verdicts.
const verdictType = 0xffffff00

// NewFromHeld makes a reload from objects without their content. All objects are made anew, except fitting sets that
// packets fill: they keep their elements, and Kept counts them. Counts are taken over from the script that was loaded
// last, if it is not nil.
func NewFromHeld(held []HeldObject, script *ruleset.Script, loaded []byte) (*Reload, error) {
	after, err := inventoryOf(script)
	if err != nil {
		return nil, err
	}
	r := newReload(inventoryOfHeld(held, after), after, script, nil)
	if loaded == nil {
		return r, nil
	}
	return r, r.takeCounts(loaded)
}

// inventoryOfHeld gives the held objects as an inventory. A set that matches the new one has its declaration.
func inventoryOfHeld(held []HeldObject, after inventory) inventory {
	before := inventory{}
	for _, h := range held {
		family := ruleset.TableFamily(h.Family)
		if before[family] == nil {
			before[family] = &tableInventory{known: map[string]*scriptObject{}}
		}
		o := h.object()
		o.unknown = true
		if h.Hooked {
			o.About = []ruleset.ScriptLine{{Text: "type"}} // whatever it is
		}
		if after[family] != nil {
			if wanted := after[family].known[o.id()]; wanted != nil && wanted.isDynamic() && h.matches(wanted) {
				o.About = wanted.About
			}
		}
		before[family].add(o) // the kernel has no two of a name
	}
	return before
}

// object is the object without its content.
func (h HeldObject) object() *scriptObject {
	return &scriptObject{ObjectText: ruleset.ObjectText{Kind: ruleset.Kind(h.Kind), Name: h.Name}}
}

// matches reports whether the held object has the wanted declaration, as far as that is known. Where it can't the
// kernel has the last word.
func (h HeldObject) matches(wanted *scriptObject) bool {
	keys, values := wanted.declared()
	expires := wanted.hasFlag("timeout") || wanted.expires()
	return ruleset.Kind(h.Kind) == wanted.Kind && h.Dynamic && h.TimesOut == expires &&
		typesMatch(h.Keys, keys) && (wanted.Kind == ruleset.KindSet || typesMatch(h.Values, values))
}

// expires says whether elements go after a time.
func (o *scriptObject) expires() bool {
	_, ok := o.property("timeout")
	return ok
}

func typesMatch(number uint32, words string) bool {
	if words == "verdict" || number == verdictType {
		return words == "verdict" && number == verdictType
	}
	sum := uint32(0)
	for _, f := range fieldsOf(words) {
		if f == UnknownField {
			return true
		}
		sum = sum<<6 | f.datatype()
	}
	return sum == number
}

// Kept gives the number of sets filled by packets that keep their elements.
func (r *Reload) Kept() int {
	n := 0
	for _, d := range r.differences {
		for _, c := range d.changes {
			if c.before != nil && c.after != nil && c.after.isDynamic() && !c.create {
				n++
			}
		}
	}
	return n
}

// A ResizedSet is a set that is kept, and declared with another size.
type ResizedSet struct {
	Family string
	Name   string
	Size   uint32 // the new size, in elements
}

// Resized are the sets that get another size in place, which Linux 6.1 leaves as it is without a word.
func (r *Reload) Resized() []ResizedSet {
	var out []ResizedSet
	for _, d := range r.differences {
		for _, c := range d.changes {
			if size, ok := sizeOf(c.after); ok && c.redeclare {
				out = append(out, ResizedSet{string(d.family), c.after.Name, size})
			}
		}
	}
	return out
}

func sizeOf(o *scriptObject) (uint32, bool) {
	if o == nil {
		return 0, false
	}
	line, _ := o.property("size")
	n, err := strconv.ParseUint(strings.TrimPrefix(line, "size "), 10, 32)
	return uint32(n), err == nil
}

// retain removes the objects that are not held.
func (inv inventory) retain(held []HeldObject) {
	there := map[string]bool{}
	for _, h := range held {
		there[h.Family+" "+h.object().id()] = true
	}
	for family, table := range inv {
		kept := &tableInventory{known: map[string]*scriptObject{}}
		for _, o := range table.objects {
			if there[string(family)+" "+o.id()] {
				kept.add(o)
			}
		}
		if inv[family] = kept; len(kept.objects) == 0 {
			delete(inv, family)
		}
	}
}
