package edit

import (
	"strings"

	"farmc/compiler/toml"
)

// A tree has the statements of a TOML text by the keys that they define.
type tree struct {
	text     string
	sections []*section // the first is the one before all headings
	root     *node
}

// A section is a heading and the assignments below it. Its lines end before the next heading.
type section struct {
	index   int
	heading *toml.Statement // nil in the first section
	body    []*statement
	removed bool
}

// A statement is an assignment with the place where it stands.
type statement struct {
	*toml.Statement
	section *section
	braces  *node // the inline table that has it; nil in a section
	removed bool
}

// A node is a key. It has a value or an inline table, which one statement defines; or it is a list of tables; or it
// is a table, which headings and dotted keys define together, in any number of places.
type node struct {
	names    []string // of the keys in the table, in their order
	children map[string]*node

	defined  *statement   // the assignment of a value or an inline table
	items    []*statement // of an inline table
	heading  *section     // the section with the heading of the table itself
	dotted   *statement   // the last assignment with a dotted key that passes through the table
	depth    int          // the number of parts of that dotted key that lead to the table
	elements []*section   // of a list of tables, with the sections of tables in it
}

func newTree(text string) *tree {
	top := &section{}
	t := &tree{text: text, root: &node{heading: top}, sections: []*section{top}}
	at := t.root
	statements := toml.Statements(text)
	for i := range statements {
		if s := &statements[i]; s.Kind == toml.Assignment {
			t.assign(at, s)
		} else {
			at = t.open(s)
		}
	}
	return t
}

// open begins a section, and gives its table; nil inside of a list of tables, which a patch
// replaces as a whole.
func (t *tree) open(s *toml.Statement) *node {
	opened := &section{index: len(t.sections), heading: s}
	t.sections = append(t.sections, opened)
	at := t.root
	for i, part := range s.Parts {
		at = at.child(part.Name)
		if at.elements != nil || s.Kind == toml.ListHeading && i == len(s.Parts)-1 {
			at.elements = append(at.elements, opened)
			return nil
		}
	}
	at.heading = opened
	return at
}

// assign adds an assignment to the last section.
func (t *tree) assign(table *node, s *toml.Statement) {
	last := t.sections[len(t.sections)-1]
	assigned := &statement{Statement: s, section: last}
	last.body = append(last.body, assigned)
	if table != nil {
		t.define(table, assigned)
	}
}

func (t *tree) define(table *node, s *statement) {
	for i, part := range s.Parts {
		table = table.child(part.Name)
		if i < len(s.Parts)-1 {
			table.dotted, table.depth = s, i+1
		}
	}
	table.defined = s
	if !table.inBraces(t.text) {
		return
	}
	for i := range s.Value.Keys {
		item := &statement{Statement: &s.Value.Keys[i], section: s.section, braces: table}
		table.items = append(table.items, item)
		t.define(table, item)
	}
}

func (n *node) child(name string) *node {
	below, known := n.children[name]
	if !known {
		if n.children == nil {
			n.children = map[string]*node{}
		}
		below = &node{}
		n.children[name] = below
		n.names = append(n.names, name)
	}
	return below
}

// inBraces reports whether the node is an inline table.
func (n *node) inBraces(text string) bool {
	return n.defined != nil && strings.HasPrefix(text[n.defined.Value.Start:], "{")
}

// isTable reports whether keys can be added to the node.
func (n *node) isTable(text string) bool {
	return n.elements == nil && (n.defined == nil || n.inBraces(text))
}

// lastSection gives the last section of a table and of the tables in it; nil if it has no heading.
func (n *node) lastSection() *section {
	last := n.heading
	for _, s := range n.elements {
		last = later(last, s)
	}
	for _, name := range n.names {
		last = later(last, n.children[name].lastSection())
	}
	return last
}

func later(a, b *section) *section {
	if a == nil || b != nil && b.index > a.index {
		return b
	}
	return a
}
