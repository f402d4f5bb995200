package reload

import (
	"fmt"
	"slices"
	"strings"
	"text/template"

	"farmc/compiler/ruleset"
)

// A Reload leads from the loaded script to another one, and leaves alone the objects that are the same in both.
type Reload struct {
	differences []*difference
	after       *ruleset.Script
	moves       []*counterMove
	complete    bool // the script is the new one, with counts in its elements
}

// New compares the loaded script with the new one. The error names the line of the loaded script that farmc does not
// write, or of a new script that was kept as text.
func New(loaded []byte, script *ruleset.Script) (*Reload, error) {
	return NewAfterLoss(loaded, script, nil, nil)
}

// NewAfterLoss is New after the network interfaces renewed went and came back: objects that depend on them are made
// anew, because rules have the numbers of interfaces; objects that are missing went with them.
func NewAfterLoss(loaded []byte, script *ruleset.Script, renewed []string, held []HeldObject) (*Reload, error) {
	before, err := readInventory(ruleset.Shared(loaded))
	if err != nil {
		return nil, fmt.Errorf("the script that was loaded: %w", err)
	}
	if len(renewed) > 0 {
		before.retain(held)
	}
	after, err := inventoryOf(script)
	if err != nil {
		return nil, err
	}
	return newReload(before, after, script, renewed), nil
}

func newReload(before, after inventory, script *ruleset.Script, renewed []string) *Reload {
	r := &Reload{differences: compare(before, after, renewed), after: script}
	r.moveCounters(lostElements(r.differences))
	return r
}

// NewComplete makes a reload that is the new script as it is, with the counts of the loaded one. It keeps nothing else.
func NewComplete(loaded []byte, script *ruleset.Script) (*Reload, error) {
	after, err := inventoryOf(script)
	if err != nil {
		return nil, err
	}
	r := newReload(inventory{}, after, script, nil)
	r.complete = true
	return r, r.takeCounts(loaded)
}

// takeCounts has all counts of the loaded script taken over, where the reload makes every set anew.
func (r *Reload) takeCounts(loaded []byte) error {
	before, err := readInventory(ruleset.Shared(loaded))
	if err != nil {
		return fmt.Errorf("the script that was loaded: %w", err)
	}
	r.moveCounters(lostElements(compare(before, inventory{}, nil)))
	return nil
}

// Script gives the nft script of the reload, to be loaded in one transaction. Elements with counters that Counted asked
// for begin with these.
func (r *Reload) Script(counts []Counter) *ruleset.Script {
	r.setCounters(counts)
	if r.complete {
		return r.after.WithText(r.completeText(), nil)
	}
	w := &reloadWriter{after: r.after}
	w.Writer = ruleset.NewWriter(template.FuncMap{"lines": w.lines, "keys": keyLines, "originOf": r.after.LineOrigin})
	return r.after.WithText(w.Write(nil, nil, "reload", r.tables()))
}

// completeText is the new script, with the elements that begin with counts.
func (r *Reload) completeText() []byte {
	lines := strings.Split(string(r.after.Text), "\n")
	for _, m := range r.moves {
		if m.to != nil {
			lines[m.to.Number-1] = "\t\t\t" + m.to.Text + ","
		}
	}
	return []byte(strings.Join(lines, "\n"))
}

// A reloadWriter writes lines of the new script once more.
type reloadWriter struct {
	*ruleset.Writer
	after *ruleset.Script
}

// lines writes lines of the script with an indent, an end, and their origins.
func (w *reloadWriter) lines(indent, end string, lines []ruleset.ScriptLine) string {
	var out strings.Builder
	for _, l := range lines {
		out.WriteString(indent)
		out.WriteString(l.Text)
		out.WriteString(end)
		out.WriteString(w.Tag(w.after.LineOrigin(l.Number)))
		out.WriteByte('\n')
	}
	return out.String()
}

// keyLines writes the keys of elements, a line each.
func keyLines(elements []ruleset.ScriptLine) string {
	var out strings.Builder
	for _, e := range elements {
		out.WriteString("\t" + elementKey(e) + ",\n")
	}
	return out.String()
}

// tables is the reload as its template sees it.
func (r *Reload) tables() []tableView {
	var out []tableView
	for _, d := range r.differences {
		out = append(out, d.view())
	}
	return out
}

// A tableView is the changes of one table, by kind.
type tableView struct {
	Family                     ruleset.TableFamily
	Deleted                    bool
	Flushed                    []*scriptObject // chains
	MaybeExpired               []declaration   // sets with removed elements that may have expired
	Emptied                    []*scriptObject // sets
	RemovedFrom                []removal
	DeletedSets, DeletedChains []*scriptObject // that are deleted
	DeletedOthers              []*scriptObject // likewise
	Declared                   []declaration
}

// A removal is the elements that are deleted from a set.
type removal struct {
	Set      *scriptObject
	Elements []ruleset.ScriptLine
}

// A declaration is an object in a block of its table, with its lines, elements and rules.
type declaration struct {
	Kind                   ruleset.Kind
	Name                   string
	Line                   int
	About, Elements, Rules []ruleset.ScriptLine
}

func (d *difference) view() tableView {
	v := tableView{Family: d.family, Deleted: d.deleted}
	if d.deleted {
		return v
	}
	for _, c := range d.changes {
		v.addRemovals(c)
		v.addDeclaration(c)
	}
	return v
}

// addRemovals adds the deletions of an object.
func (v *tableView) addRemovals(c *change) {
	if c.before == nil {
		return
	}
	switch set, chain := c.before.isSet(), c.before.Kind == ruleset.KindChain; {
	case chain && (c.deleted() || c.refill) && (c.before.unknown || len(c.before.Rules) > 0):
		v.Flushed = append(v.Flushed, c.before)
	case set && !c.deleted() && c.refill:
		v.Emptied = append(v.Emptied, c.before)
	case set && !c.deleted() && len(c.removed) > 0:
		v.RemovedFrom = append(v.RemovedFrom, removal{c.before, c.removed})
		if c.after.isDynamic() {
			d := declaration{Kind: c.after.Kind, Name: c.after.Name, About: c.after.About}
			d.Elements = unnumbered(c.removed)
			v.MaybeExpired = append(v.MaybeExpired, d)
		}
	}
	switch {
	case !c.deleted():
	case c.before.isSet():
		v.DeletedSets = append(v.DeletedSets, c.before)
	case c.before.Kind == ruleset.KindChain:
		v.DeletedChains = append(v.DeletedChains, c.before)
	default:
		v.DeletedOthers = append(v.DeletedOthers, c.before)
	}
}

// unnumbered gives copies of lines without their numbers, because they are not lines of the new script.
func unnumbered(lines []ruleset.ScriptLine) []ruleset.ScriptLine {
	out := slices.Clone(lines)
	for i := range out {
		out[i].Number = 0
	}
	return out
}

// addDeclaration adds the lines of an object that have to be written.
func (v *tableView) addDeclaration(c *change) {
	if !c.inScript() {
		return
	}
	s := declaration{Kind: c.after.Kind, Name: c.after.Name, Line: c.after.Line, About: c.after.About}
	s.Elements = c.added
	for _, e := range c.rewritten {
		s.Elements = append(slices.Clip(s.Elements), *e)
	}
	if c.create || c.refill {
		s.Rules = c.after.Rules
	}
	v.Declared = append(v.Declared, s)
}

// Empty reports whether there is nothing to do in the table.
func (v tableView) Empty() bool {
	deletions := len(v.Flushed) + len(v.Emptied) + len(v.RemovedFrom) +
		len(v.DeletedSets) + len(v.DeletedChains) + len(v.DeletedOthers)
	return !v.Deleted && deletions+len(v.Declared) == 0
}
