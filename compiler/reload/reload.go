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
}

// New compares the script that was loaded with the one that is to be. The error says why the former is not one of
// farmc's.
func New(loaded []byte, script *ruleset.Script) (*Reload, error) {
	return NewAfterLoss(loaded, script, nil, nil)
}

// NewAfterLoss is NewReload where network interfaces went and came back: objects that depend on them are made anew,
// because rules have the numbers of interfaces; objects that are missing went with them.
func NewAfterLoss(loaded []byte, script *ruleset.Script, renewed []string, held []HeldObject) (*Reload, error) {
	before, err := readInventory(string(loaded))
	if err != nil {
		return nil, fmt.Errorf("the script that was loaded: %w", err)
	}
	if len(renewed) > 0 {
		before.without(held)
	}
	after, err := inventoryOf(script)
	if err != nil {
		return nil, err
	}
	return newReload(before, after, script, renewed), nil
}

func newReload(before, after inventory, script *ruleset.Script, renewed []string) *Reload {
	r := &Reload{differences: compare(before, after, renewed), after: script}
	r.moveCounters()
	return r
}

// Script gives the nft script of the reload, to be loaded in one transaction. Elements with counters that Counted asked
// for begin with these.
func (r *Reload) Script(counts []Counter) *ruleset.Script {
	r.recount(counts)
	w := &reloadWriter{after: r.after}
	w.Writer = ruleset.NewWriter(template.FuncMap{"lines": w.lines, "keys": keyLines, "originOf": r.after.LineOrigin})
	return r.after.WithText(w.Write(nil, nil, "reload", r.tables()))
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
	Family       ruleset.TableFamily
	Ends         bool
	Flushed      []*scriptObject // chains
	Unsure       []sentView      // sets with removed elements that may have expired
	Emptied      []*scriptObject // sets
	Losing       []losing
	Sets, Chains []*scriptObject // that are deleted
	Others       []*scriptObject // likewise
	Sent         []sentView
}

type losing struct {
	Object  *scriptObject
	Removed []ruleset.ScriptLine
}

type sentView struct {
	Kind                   ruleset.Kind
	Name                   string
	Line                   int
	About, Elements, Rules []ruleset.ScriptLine
}

func (d *difference) view() tableView {
	v := tableView{Family: d.family, Ends: d.ends}
	if d.ends {
		return v
	}
	for _, c := range d.changes {
		v.addRemovals(c)
		v.addSent(c)
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
		v.Losing = append(v.Losing, losing{c.before, c.removed})
		if c.after.remembers() {
			v.Unsure = append(
				v.Unsure,
				sentView{Kind: c.after.Kind, Name: c.after.Name, About: c.after.About, Elements: unnumbered(c.removed)},
			)
		}
	}
	switch {
	case !c.deleted():
	case c.before.isSet():
		v.Sets = append(v.Sets, c.before)
	case c.before.Kind == ruleset.KindChain:
		v.Chains = append(v.Chains, c.before)
	default:
		v.Others = append(v.Others, c.before)
	}
}

// unnumbered are lines that are of no script that is to be.
func unnumbered(lines []ruleset.ScriptLine) []ruleset.ScriptLine {
	out := slices.Clone(lines)
	for i := range out {
		out[i].Number = 0
	}
	return out
}

// addSent adds the lines of an object that have to be written.
func (v *tableView) addSent(c *change) {
	if !c.inScript() {
		return
	}
	s := sentView{Kind: c.after.Kind, Name: c.after.Name, Line: c.after.Line, About: c.after.About, Elements: c.added}
	for _, e := range c.rewritten {
		s.Elements = append(slices.Clip(s.Elements), *e)
	}
	if c.create || c.refill {
		s.Rules = c.after.Rules
	}
	v.Sent = append(v.Sent, s)
}

// Nothing says whether there is nothing to do in the table.
func (v tableView) Nothing() bool {
	return !v.Ends &&
		len(v.Flushed)+len(v.Emptied)+len(v.Losing)+len(v.Sets)+len(v.Chains)+len(v.Others)+len(v.Sent) == 0
}
