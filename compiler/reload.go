package compiler

import (
	"fmt"
	"slices"
	"strings"
)

// A Reload leads from what the kernel holds to what another script says, and leaves alone what is the same in both.
type Reload struct {
	differences []*difference
	after       *Script
	carries     []*carry
}

// NewReload compares the script that was loaded with the one that is to be. The error says why the former is not one of
// farmc's.
func NewReload(loaded []byte, script *Script) (*Reload, error) {
	return NewReloadAfterLoss(loaded, script, nil, nil)
}

// NewReloadAfterLoss is NewReload where network interfaces went and came back: what hangs on them is made anew, as rules
// hold their numbers, and what isn't held any more went with them.
func NewReloadAfterLoss(loaded []byte, script *Script, renewed []string, held []Outlined) (*Reload, error) {
	before, err := readInventory(string(loaded))
	if err != nil {
		return nil, fmt.Errorf("the script that was loaded: %w", err)
	}
	if len(renewed) > 0 {
		before.without(held)
	}
	return newReload(before, script, renewed)
}

func newReload(before inventory, script *Script, renewed []string) (*Reload, error) {
	after, err := readInventory(string(script.Text))
	if err != nil {
		return nil, err
	}
	r := &Reload{differences: compare(before, after, renewed), after: script}
	r.carry()
	return r, nil
}

// Script gives the nft script of the reload, to be loaded in one transaction. Elements whose counts were asked for with
// Counted begin with them.
func (r *Reload) Script(counts []Count) *Script {
	r.recount(counts)
	text, origins, err := newWriter(r.after).write("reload", r.page())
	if err != nil {
		panic(err) // a template that doesn't fit its data is ours
	}
	s := *r.after
	s.Text, s.origins = text, origins
	return &s
}

// origin is where a line of the script comes from.
func (w *writer) origin(number int) *Origin {
	if number < 1 || number > len(w.script.origins) {
		return nil
	}
	return w.script.origins[number-1]
}

// lines writes lines of the script with an indent, an end, and their marks.
func (w *writer) lines(indent, end string, lines []scriptLine) string {
	var out strings.Builder
	for _, l := range lines {
		out.WriteString(indent)
		out.WriteString(l.text)
		out.WriteString(end)
		out.WriteString(w.mark(w.origin(l.number)))
		out.WriteByte('\n')
	}
	return out.String()
}

// keyLines writes what elements are found by, a line each.
func keyLines(elements []scriptLine) string {
	var out strings.Builder
	for _, e := range elements {
		out.WriteString("\t" + e.key() + ",\n")
	}
	return out.String()
}

// page is the reload as its template sees it.
func (r *Reload) page() any {
	var out []tableView
	for _, d := range r.differences {
		out = append(out, d.view())
	}
	return out
}

// A tableView is what is done to one table, by what it is done to.
type tableView struct {
	Family       string
	Ends         bool
	Flushed      []*object  // chains
	Unsure       []sentView // sets that may have forgotten what they lose
	Emptied      []*object  // sets
	Losing       []losing
	Sets, Chains []*object // that are deleted
	Others       []*object // likewise
	Sent         []sentView
}

type losing struct {
	Object  *object
	Removed []scriptLine
}

type sentView struct {
	Kind, Name             string
	Line                   int
	About, Elements, Rules []scriptLine
}

func (d *difference) view() tableView {
	v := tableView{Family: d.family, Ends: d.ends}
	if d.ends {
		return v
	}
	for _, c := range d.changes {
		v.take(c)
		v.send(c)
	}
	return v
}

// take puts down what of an object has to go.
func (v *tableView) take(c *change) {
	if c.before == nil {
		return
	}
	switch set, chain := c.before.isSet(), c.before.Kind == "chain"; {
	case chain && (c.deleted() || c.refill) && (c.before.unknown || len(c.before.rules) > 0):
		v.Flushed = append(v.Flushed, c.before)
	case set && !c.deleted() && c.refill:
		v.Emptied = append(v.Emptied, c.before)
	case set && !c.deleted() && len(c.removed) > 0:
		v.Losing = append(v.Losing, losing{c.before, c.removed})
		if c.after.remembers() {
			v.Unsure = append(v.Unsure, sentView{Kind: c.after.Kind, Name: c.after.Name, About: c.after.about, Elements: unnumbered(c.removed)})
		}
	}
	switch {
	case !c.deleted():
	case c.before.isSet():
		v.Sets = append(v.Sets, c.before)
	case c.before.Kind == "chain":
		v.Chains = append(v.Chains, c.before)
	default:
		v.Others = append(v.Others, c.before)
	}
}

// unnumbered are lines that are of no script that is to be.
func unnumbered(lines []scriptLine) []scriptLine {
	out := slices.Clone(lines)
	for i := range out {
		out[i].number = 0
	}
	return out
}

// send puts down what of an object has to be written.
func (v *tableView) send(c *change) {
	if !c.sent() {
		return
	}
	s := sentView{Kind: c.after.Kind, Name: c.after.Name, Line: c.after.line, About: c.after.about, Elements: c.added}
	for _, e := range c.rewritten {
		s.Elements = append(slices.Clip(s.Elements), *e)
	}
	if c.made || c.refill {
		s.Rules = c.after.rules
	}
	v.Sent = append(v.Sent, s)
}

// Nothing says whether there is nothing to do in the table.
func (v tableView) Nothing() bool {
	return !v.Ends && len(v.Flushed)+len(v.Emptied)+len(v.Losing)+len(v.Sets)+len(v.Chains)+len(v.Others)+len(v.Sent) == 0
}
