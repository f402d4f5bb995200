package compiler

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Mark is what is set on a connection (ct mark), within a mask; the zero Mark sets nothing. No other bit is touched.
type Mark struct {
	Value, Mask uint32
}

// All says whether the mask holds all bits.
func (m Mark) All() bool { return m.Mask == 1<<32-1 }

// Others is the mask of the bits that are left alone.
func (m Mark) Others() uint32 { return ^m.Mask }

// String writes the mark as a farm does.
func (m Mark) String() string { return fmt.Sprintf("%#x/%#x", m.Value, m.Mask) }

// name is the mark as part of a chain's name.
func (m Mark) name() string { return fmt.Sprintf("mark-%#x-%#x", m.Value, m.Mask) }

// readMark reads "0x10/0xff", or a plain number, which stands for all bits.
func readMark(t *table) Mark {
	v, ok := t.raw("mark")
	if !ok {
		return Mark{}
	}
	const rule = `mark = "0x10/0xff", or a plain number, 1 to 4294967295`
	text := fmt.Sprint(v.data)
	if _, isText := v.data.(string); !isText {
		if n, isNumber := v.data.(int64); !isNumber || n < 1 || n > 1<<32-1 {
			t.fault(v.place, rule, "mark is %s, not a mark", text)
			return Mark{}
		}
	}
	number, bits, masked := strings.Cut(text, "/")
	if !masked {
		bits = "0xffffffff"
	}
	n, errN := strconv.ParseUint(number, 0, 32)
	m, errM := strconv.ParseUint(bits, 0, 32)
	switch {
	case errN != nil || errM != nil || m == 0 || n == 0 && !masked:
		t.fault(v.place, rule, "mark: %q is not a mark", text)
	case n&^m != 0:
		t.fault(v.place, "", "mark: %s has bits outside of its mask", text)
	}
	return Mark{uint32(n), uint32(m)}
}

// A markChain sets the mark of backends: one for all backends of all farms with that mark.
type markChain struct {
	Name string
	Mark Mark
}

// A markedChain is where a farm's connections pass once their backend is chosen, if its backends have marks.
type markedChain struct {
	Name, Map string
	Family    Family
	Elements  []mapElement
}

// mark leads connections whose backend is chosen to the chain that sets its mark.
func (l *linker) mark(doors []door) {
	l.leadSome(&l.rules.marking, "mark-", doors, func(d door) string {
		if !d.farm.marksBackends(d.family) {
			return ""
		}
		l.rules.marksLocal = l.rules.marksLocal || d.farm.LocalClients
		return l.marked(d.farm, d.family)
	})
}

// marksBackends says whether some backend of the family has a mark.
func (f *Farm) marksBackends(family Family) bool {
	for i := range f.Backends { // most have none
		if f.Backends[i].Mark != (Mark{}) {
			return slices.ContainsFunc(f.takes(family), func(b Backend) bool { return b.Mark != Mark{} })
		}
	}
	return false
}

// marked gives the chain that sets the marks of the farm's backends.
func (l *linker) marked(f *Farm, family Family) string {
	c := &markedChain{Name: ownName(f, "marked-"+family.Suffix()), Map: ownName(f, "marks-"+family.Suffix()), Family: family}
	if slices.ContainsFunc(l.rules.marked, func(o *markedChain) bool { return o.Name == c.Name }) {
		return c.Name
	}
	for _, b := range f.takes(family) {
		if b.Mark != (Mark{}) {
			c.Elements = append(c.Elements, mapElement{b.Address[family].String(), "goto " + l.markChain(b.Mark), b.origin(f), false})
		}
	}
	c.Elements = uniqueKeys(c.Elements)
	l.rules.marked = append(l.rules.marked, c)
	return c.Name
}

// markChain gives the chain that sets a mark.
func (l *linker) markChain(m Mark) string {
	c := markChain{m.name(), m}
	if !slices.Contains(l.rules.marks, c) {
		l.rules.marks = append(l.rules.marks, c)
	}
	return c.Name
}

// uniqueKeys leaves one element for each key: backends of one address, on different ports, have the same.
func uniqueKeys(elements []mapElement) []mapElement {
	var out []mapElement
	for _, e := range elements {
		if !slices.ContainsFunc(out, func(o mapElement) bool { return o.key == e.key }) {
			out = append(out, e)
		}
	}
	return out
}

type markedView struct {
	*markedChain
	view
}

func (m markedView) elements() []mapElement { return m.Elements }
