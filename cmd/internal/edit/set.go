package edit

import (
	"reflect"
	"slices"
	"strings"
)

// set gives the keys of a patch their values, in a text from which remove took the keys that go.
func set(text string, old, patch, merged map[string]any) string {
	s := setter{tree: newTree(text), lines: lines(text), order: keyOrder(), filled: map[*node]bool{}}
	s.table(s.root, nil, old, patch, merged)
	return spliced(text, s.splices)
}

// A setter collects the places where values change and statements come in.
type setter struct {
	*tree
	order
	lines   lines
	filled  map[*node]bool // inline tables that were empty
	splices []splice
}

func (s *setter) table(table *node, at []string, old, patch, merged map[string]any) {
	var added []string
	for _, name := range s.names(at, patch) {
		key, want := table.children[name], merged[name]
		changes, isObject := patch[name].(map[string]any)
		switch {
		case patch[name] == nil:
		case key == nil:
			added = append(added, name)
		case isObject && key.isTable(s.text):
			s.table(key, below(at, name), old[name].(map[string]any), changes, want.(map[string]any))
		case key.defined != nil && !reflect.DeepEqual(old[name], want):
			s.replace(key.defined, below(at, name), want)
		}
	}
	s.add(table, at, added, merged)
}

func (s *setter) replace(old *statement, at []string, value any) {
	v := old.Value
	text := s.wrapped(at, value, s.lines.endOfLine(v.Start))
	s.splices = append(s.splices, splice{start: v.Start, end: v.End, text: text})
}

// add adds keys to a table: as assignments at its home, as tables with headings behind it.
func (s *setter) add(table *node, at []string, names []string, values map[string]any) {
	if len(names) == 0 {
		return
	}
	home, tables := s.homeOf(table), s.formOfTables(table)
	assigned, headed := map[string]any{}, map[string]any{}
	for _, name := range names {
		value := values[name]
		switch s.formOf(home, tables, below(at, name), value) {
		case withHeading:
			headed[name] = value
		case withDots:
			s.assignDotted(home, below(at, name), value.(map[string]any))
		default:
			assigned[name] = value
		}
	}
	if home != nil {
		for _, name := range s.names(at, assigned) {
			s.assign(home, keyLiteral(name), below(at, name), assigned[name])
		}
		assigned = nil
	}
	s.addSections(table, at, assigned, headed)
}

// A form is a way to write a table.
type form byte

const (
	anyForm form = iota
	inBraces
	withDots
	withHeading
)

// formOfTables gives the form of the last table in a table; anyForm if there is none.
func (s *setter) formOfTables(table *node) form {
	for _, name := range slices.Backward(table.names) {
		switch last := table.children[name]; {
		case !last.isTable(s.text):
		case last.defined != nil:
			return inBraces
		case last.lastSection() != nil:
			return withHeading
		default:
			return withDots
		}
	}
	return anyForm
}

// formOf chooses the form of a value that is new at a home, beside tables of some form.
func (s *setter) formOf(home *home, tables form, at []string, value any) form {
	object, isTable := value.(map[string]any)
	long := isTable && len(s.literal(at, value)) > 2*longLine
	switch {
	case !isTable || home != nil && home.braces != nil:
		return inBraces
	case tables == withDots && home != nil && len(object) > 0:
		return withDots
	case long:
		return withHeading
	case tables == withDots:
		return inBraces
	case tables != anyForm:
		return tables
	case s.heading(at) && (home == nil || home.prefix == ""):
		return withHeading
	}
	return inBraces
}

func (s *setter) assignDotted(home *home, at []string, table map[string]any) {
	for _, name := range s.names(at, table) {
		s.assign(home, keyLiteral(at[len(at)-1])+"."+keyLiteral(name), below(at, name), table[name])
	}
}

// addSections writes tables with headings: the values of the table itself, if it has no home for them, and tables in
// it. They come behind the last section of the table, new tables of the farm at the end of the text.
func (s *setter) addSections(table *node, at []string, assigned, headed map[string]any) {
	if len(assigned)+len(headed) == 0 {
		return
	}
	position, last := len(s.text), table.lastSection()
	if table == s.root || last == nil {
		last = s.sections[len(s.sections)-1]
	} else {
		position = s.lines.afterSection(last)
	}
	w := writer{order: s.order, style: s.styleOf(last, position)}
	if len(assigned) > 0 {
		w.heading(at)
	}
	for _, name := range s.names(at, assigned) {
		w.assignment(keyLiteral(name), below(at, name), assigned[name])
	}
	for _, name := range s.names(at, headed) {
		w.table(below(at, name), headed[name].(map[string]any))
	}
	text := w.out.String()
	if s.text == "" {
		text = strings.TrimPrefix(text, w.endOfLine)
	}
	s.insertLines(position, text, w.endOfLine, true)
}

// insertLines inserts lines at the beginning of a line or at the end of the text. A last line without an end gets one
// before the inserted lines, and the last inserted line has none.
func (s *setter) insertLines(at int, text, endOfLine string, late bool) {
	if at == len(s.text) && s.text != "" && !strings.HasSuffix(s.text, "\n") {
		text = endOfLine + strings.TrimSuffix(text, endOfLine)
	}
	s.splices = append(s.splices, splice{start: at, end: at, text: text, late: late})
}
