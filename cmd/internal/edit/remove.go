package edit

import (
	"reflect"
	"strings"
)

// remove takes the keys out of a text that a patch removes, and tables that it replaces by something else: a value can
// be replaced where it stands, a table in several places cannot.
func remove(text string, old, patch, merged map[string]any) string {
	r := remover{tree: newTree(text), lines: lines(text)}
	r.mark(r.root, old, patch, merged)
	for _, s := range r.sections {
		r.cutSection(s)
	}
	for _, braces := range r.braces {
		r.cutItems(braces)
	}
	return spliced(text, r.splices)
}

// A remover marks statements as removed, then cuts them out.
type remover struct {
	*tree
	lines   lines
	braces  []*node // the inline tables that lose an item
	splices []splice
}

func (r *remover) mark(table *node, old, patch, merged map[string]any) {
	for name, change := range patch {
		key := table.children[name]
		want, stays := merged[name]
		changes, isObject := change.(map[string]any)
		switch {
		case key == nil:
		case !stays:
			r.removeKey(key)
		case isObject && key.isTable(r.text):
			r.mark(key, old[name].(map[string]any), changes, want.(map[string]any))
		case key.defined == nil && !reflect.DeepEqual(old[name], want):
			r.removeKey(key)
		}
	}
}

// removeKey marks all statements that define a key.
func (r *remover) removeKey(key *node) {
	if s := key.defined; s != nil {
		s.removed = true
		if s.braces != nil {
			r.braces = append(r.braces, s.braces)
		}
		return
	}
	if key.heading != nil {
		key.heading.removed = true
	}
	for _, s := range key.elements {
		s.removed = true
	}
	for _, name := range key.names {
		r.removeKey(key.children[name])
	}
}

func (r *remover) cutSection(s *section) {
	if s.removed {
		start, end := r.lines.start(s.heading.Start), r.lines.afterSection(s)
		r.splices = append(r.splices, r.withBlank(splice{start: start, end: end}))
		return
	}
	for _, a := range s.body {
		if a.removed {
			start, end := r.lines.start(a.Start), r.lines.afterStatement(a.Start, a.End)
			r.splices = append(r.splices, splice{start: start, end: end})
		}
	}
}

// withBlank extends the cut of a section over the blank line before it, if its neighbours keep a distance without.
func (r *remover) withBlank(s splice) splice {
	before := r.lines.before(s.start)
	if before >= 0 && r.lines.blank(before) && (s.end == len(r.text) || r.lines.blank(s.end)) {
		s.start = before
	}
	if before < 0 && r.lines.blank(s.end) {
		s.end = r.lines.end(s.end)
	}
	return s
}

// cutItems cuts the removed items of an inline table, run by run, each with one comma.
func (r *remover) cutItems(braces *node) {
	items := braces.items
	braces.items = nil // the same table is not cut again
	for first := 0; first < len(items); first++ {
		if !items[first].removed {
			continue
		}
		last := first
		for last+1 < len(items) && items[last+1].removed {
			last++
		}
		r.cutRun(items, first, last)
		first = last
	}
}

// cutRun cuts the items from first to last, with the comma behind them, or with the one before if there is none behind.
func (r *remover) cutRun(items []*statement, first, last int) {
	start, end := items[first].Start, items[last].End
	if comma := r.comma(end); comma >= 0 {
		r.splices = append(r.splices, r.wholeLines(start, comma+1))
		return
	}
	if first > 0 {
		before := items[first-1].End
		comma := r.comma(before)
		if !strings.ContainsAny(r.text[comma:start], "\n") {
			r.splices = append(r.splices, splice{start: comma, end: end})
			return
		}
	}
	r.splices = append(r.splices, r.wholeLines(start, end))
}

// comma is the offset of the comma that follows an item which ends at an offset; -1 if there is none.
func (r *remover) comma(end int) int {
	for at := end; at < len(r.text); {
		switch r.text[at] {
		case ',':
			return at
		case '}':
			return -1
		case '#':
			at = r.lines.end(at)
		default:
			at++
		}
	}
	return -1
}

// wholeLines extends a cut: items that have their lines for themselves take the lines along, with the comment at the
// end; others the spacing behind them.
func (r *remover) wholeLines(start, end int) splice {
	lineStart, lineEnd := r.lines.start(start), r.lines.end(end)
	behind := strings.TrimLeft(r.text[end:lineEnd], " \t")
	alone := strings.TrimLeft(r.text[lineStart:start], " \t") == ""
	if alone && (strings.HasPrefix(behind, "#") || strings.Trim(behind, "\r\n") == "") {
		return splice{start: lineStart, end: lineEnd}
	}
	if strings.Trim(behind, "\r\n") == "" || strings.HasPrefix(behind, "#") {
		return splice{start: start, end: end}
	}
	return splice{start: start, end: lineEnd - len(behind)}
}
