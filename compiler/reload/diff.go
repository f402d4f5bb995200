package reload

import (
	"slices"
	"strings"

	"farmc/compiler/ruleset"
)

// A difference is the changes that lead from a table to that of another script. Objects that are the same in both are
// left alone: they keep counters, round-robin positions and remembered clients.
type difference struct {
	family  ruleset.TableFamily
	deleted bool // there is to be none
	changes []*change
}

// A change is the change of one object: none, until it is found to differ.
type change struct {
	before, after *scriptObject // nil: there is none

	create    bool // it is declared and filled; if there was one before, that is deleted first
	redeclare bool // it is declared once more, as its timeout or size is another
	refill    bool // of a chain: its rules are flushed, and written; of a set, its elements

	removed, added []ruleset.ScriptLine  // elements
	rewritten      []*ruleset.ScriptLine // elements that are removed and added, for their counts alone
}

// inScript reports whether a part of the object has to be in the script.
func (c *change) inScript() bool {
	if c.after == nil {
		return false
	}
	empty := c.after.isSet() && c.after.Block == ""
	return c.create || c.redeclare || len(c.added)+len(c.rewritten) > 0 || c.refill && !empty
}

// deleted reports whether the earlier object is deleted.
func (c *change) deleted() bool { return c.before != nil && (c.after == nil || c.create) }

// compare finds the changes of all tables. Objects that depend on a renewed network interface are made anew, because
// they have the number of the old one.
func compare(before, after inventory, renewed []string) []*difference {
	var all []*difference
	for _, family := range ruleset.TableFamilies {
		was, is := before[family], after[family]
		if was == nil && is == nil {
			continue
		}
		all = append(all, compareTables(family, was, is, renewed))
	}
	preferRefills(all)
	return all
}

func compareTables(family ruleset.TableFamily, before, after *tableInventory, renewed []string) *difference {
	d := &difference{family: family, deleted: after == nil}
	if before == nil {
		before = &tableInventory{}
	}
	if after == nil {
		after = &tableInventory{}
	}
	for _, o := range after.objects {
		d.changes = append(d.changes, compareObjects(before.known[o.id()], o, renewed))
	}
	for _, o := range before.objects {
		if after.known[o.id()] == nil {
			d.changes = append(d.changes, &change{before: o})
		}
	}
	d.propagate()
	for _, c := range d.changes {
		c.compareElements()
	}
	return d
}

// compareObjects finds the change of an object by itself.
func compareObjects(before, after *scriptObject, renewed []string) *change {
	c := &change{before: before, after: after}
	switch same := before != nil && before.Kind == after.Kind && sameLines(before.About, after.About); {
	case before == nil || namesAny(after.About, renewed):
		c.create = true
	case before.unknown && before.Kind == after.Kind && after.Kind == ruleset.KindChain && len(after.About) == 0 &&
		len(before.About) == 0:
		c.refill = true
	case before.unknown && before.isDynamic() && after.isDynamic() && before.Kind == after.Kind:
		c.redeclare = true
	case !same && before.isDynamic() && before.Kind == after.Kind &&
		sameLines(fixedLines(before.About), fixedLines(after.About)):
		c.redeclare = true
	case !same || before.unknown:
		c.create = true
	default:
		c.refill = !sameLines(before.Rules, after.Rules) || namesAny(after.Rules, renewed)
	}
	return c
}

// fixedLines are the lines of a declaration that cannot change in place: all but timeout and size.
func fixedLines(about []ruleset.ScriptLine) []ruleset.ScriptLine {
	return slices.DeleteFunc(slices.Clone(about), func(l ruleset.ScriptLine) bool {
		return strings.HasPrefix(l.Text, "timeout ") || strings.HasPrefix(l.Text, "size ")
	})
}

func sameLines(a, b []ruleset.ScriptLine) bool {
	return slices.EqualFunc(a, b, func(a, b ruleset.ScriptLine) bool { return a.Text == b.Text })
}

// namesAny reports whether a line names one of the network interfaces.
func namesAny(lines []ruleset.ScriptLine, interfaces []string) bool {
	return slices.ContainsFunc(lines, func(l ruleset.ScriptLine) bool {
		return slices.ContainsFunc(interfaces, func(name string) bool { return strings.Contains(l.Text, `"`+name+`"`) })
	})
}

// propagate has rules written anew where an object that they name is made anew, and has an object made anew where it
// takes no new rule, until there is nothing more to spread.
func (d *difference) propagate() {
	users := d.users()
	var spreading []*change
	for _, c := range d.changes {
		if c.create || c.refill || c.after == nil {
			spreading = append(spreading, c)
		}
	}
	for len(spreading) > 0 {
		c := spreading[0]
		spreading = spreading[1:]
		for _, other := range users[c] {
			switch {
			case other.create || other.refill || other.before == nil || other.after == nil:
				continue
			case other.after.Kind == ruleset.KindChain && c.deleted():
				other.refill = true
			case other.after.Kind != ruleset.KindChain && c.after != nil && other.after.takesNoRule():
				other.create = true
			default:
				continue
			}
			spreading = append(spreading, other)
		}
	}
}

// users gives the chains with rules that name an object, and the objects that the rules of a chain name.
func (d *difference) users() map[*change][]*change {
	named := map[string]*change{}
	for _, c := range d.changes {
		if c.after != nil && c.after.Kind != ruleset.KindChain {
			named[c.after.Name] = c
		} else if c.after == nil && c.before.Kind != ruleset.KindChain && named[c.before.Name] == nil {
			named[c.before.Name] = c
		}
	}
	users := map[*change][]*change{}
	for _, chain := range d.changes {
		if chain.after == nil || chain.after.Kind != ruleset.KindChain {
			continue
		}
		for _, rule := range chain.after.Rules {
			for _, name := range namesIn(rule.Text) {
				if c := named[name]; c != nil {
					users[c] = append(users[c], chain)
					users[chain] = append(users[chain], c)
				}
			}
		}
	}
	return users
}

// namesIn are the sets, maps, flow tables (@name) and helpers ("name") of a rule, and other words in quotes.
func namesIn(rule string) []string {
	var out []string
	for rest := rule; ; {
		at := strings.IndexAny(rest, `@"`)
		if at < 0 {
			return out
		}
		rest = rest[at+1:]
		end := strings.IndexAny(rest, "\" ,}")
		if end < 0 {
			end = len(rest)
		}
		out = append(out, rest[:end])
		rest = rest[end:]
		if rest != "" && rest[0] == '"' {
			rest = rest[1:]
		}
	}
}

// compareElements finds which elements come and go.
func (c *change) compareElements() {
	switch {
	case c.before == nil:
		c.added = c.after.elements()
	case c.after == nil:
		c.removed = c.before.elements()
	case c.create:
		c.removed, c.added = c.before.elements(), c.after.elements()
	default:
		c.removed, c.added = compareBlocks(c.before, c.after)
		if len(c.removed)+len(c.added) > 0 && c.after.hasMovingSlots() { // the kernel has others than the script
			c.refillElements()
		}
	}
}

// compareBlocks gives the elements that are only in the one set, and only in the other. Common beginnings and ends,
// which most pairs have, are skipped.
func compareBlocks(before, after *scriptObject) (removed, added []ruleset.ScriptLine) {
	a, b := before.Block, after.Block
	from := strings.LastIndexByte(a[:commonPrefix(a, b)], '\n') + 1
	end := commonSuffix(a[from:], b[from:])
	if at := strings.IndexByte(a[len(a)-end:], '\n'); at >= 0 {
		end -= at + 1
	}
	was, is := before.elementsWithin(from, len(a)-end), after.elementsWithin(from, len(b)-end)
	return without(was, is), without(is, was)
}

// chunk is the number of bytes that are compared at once.
const chunk = 1 << 12

// commonPrefix is the length of the common beginning of two texts, in bytes.
func commonPrefix(a, b string) int {
	at, n := 0, min(len(a), len(b))
	for at+chunk <= n && a[at:at+chunk] == b[at:at+chunk] {
		at += chunk
	}
	for at < n && a[at] == b[at] {
		at++
	}
	return at
}

// commonSuffix is the length of their common end, in bytes.
func commonSuffix(a, b string) int {
	at, n := 0, min(len(a), len(b))
	for at+chunk <= n && a[len(a)-at-chunk:len(a)-at] == b[len(b)-at-chunk:len(b)-at] {
		at += chunk
	}
	for at < n && a[len(a)-1-at] == b[len(b)-1-at] {
		at++
	}
	return at
}

// without gives the lines that are not among others.
func without(lines, others []ruleset.ScriptLine) []ruleset.ScriptLine {
	known := make(map[string]bool, len(others))
	for _, l := range others {
		known[l.Text] = true
	}
	var out []ruleset.ScriptLine
	for _, l := range lines {
		if !known[l.Text] {
			out = append(out, l)
		}
	}
	return out
}

// Seconds of nft 1.0.6 for an element of a tree of intervals that it reads because of a "delete element", and for one
// of any set that it writes, measured with 500,000.
const (
	secondsPerRead  = 40e-6
	secondsPerWrite = 14e-6
)

// preferRefills has sets flushed and filled anew where that is quicker than to delete elements: if all of them go, or
// if nft would have to read large trees first.
func preferRefills(all []*difference) {
	trees, refilled := 0, 0
	for _, d := range all {
		for _, c := range d.changes {
			if c.before != nil && c.before.isTree() {
				trees += c.before.size()
			}
			if c.mayRefill() {
				refilled += c.after.size()
			}
		}
	}
	quicker := float64(refilled)*secondsPerWrite < float64(trees)*secondsPerRead
	for _, d := range all {
		for _, c := range d.changes {
			if c.mayRefill() && (quicker || len(c.removed) == c.before.size()) {
				c.refillElements()
			}
		}
	}
}

// refillElements has all elements of a set flushed and written.
func (c *change) refillElements() {
	c.refill = true
	c.removed, c.added = c.before.elements(), c.after.elements()
}

// hasMovingSlots reports whether another process changes elements of the map.
func (o *scriptObject) hasMovingSlots() bool {
	return slices.ContainsFunc(o.About, func(l ruleset.ScriptLine) bool {
		return l.Text == `comment "`+ruleset.MovingSlots+`"`
	})
}

// mayRefill reports whether elements are deleted from a set that stays, and that packets do not fill.
func (c *change) mayRefill() bool {
	return c.before != nil && c.after != nil && !c.create && len(c.removed) > 0 && !c.after.isDynamic()
}
