package lsp

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"farmc/compiler/farm"
)

// complete gives the keys, tables or values that can stand at a position.
func (s *server) complete(_ context.Context, p positionParams) (any, error) {
	d := s.document(p.TextDocument.URI)
	if d == nil || d.isList() {
		return nil, nil
	}
	c := newCompletion(d, offsetOf(d.text, p.Position))
	switch c.at.kind {
	case keyPart:
		c.keys()
	case headingPart:
		c.headings()
	case valuePart:
		c.values()
	}
	return completionList{Items: c.items}, nil
}

// A completion is the answer about one position.
type completion struct {
	document *document
	offset   int
	at       situation
	word     string // before the position, without a quote
	spans    []span // of the whole document
	items    []completionItem
}

func newCompletion(d *document, offset int) *completion {
	c := &completion{document: d, offset: offset, items: []completionItem{}}
	_, c.at = scan(d.text[:offset])
	c.spans, _ = scan(d.text)
	if c.at.kind != nothing {
		c.word = d.text[c.at.start:offset]
	}
	return c
}

// add adds an item if it begins with the word. The new text takes the place of the word.
func (c *completion) add(i completionItem, newText string) {
	if !strings.HasPrefix(strings.ToLower(strings.Trim(i.Label, `[]"`)), strings.ToLower(strings.Trim(c.word, `["`))) {
		return
	}
	i.SortText = fmt.Sprintf("%03d", len(c.items))
	i.TextEdit = textEdit{c.document.rangeOf(c.at.start, c.offset), newText}
	c.items = append(c.items, i)
}

// keys adds the keys of the table that the document does not have yet, and in the text of a farm the tables.
func (c *completion) keys() {
	if k, known := keyAt(c.at.path); known && k.Type == farm.LimitType {
		for _, name := range []string{"rate", "burst"} {
			c.add(completionItem{Label: name, Kind: kindProperty, Detail: "of " + k.Name}, name+" = ")
		}
	}
	if table, known := tableName(c.at.path); known {
		for _, k := range farm.Keys() {
			if k.Table == table && c.fits(k) && !c.has(k.Name) {
				c.addKey(k)
			}
		}
	}
	if !c.at.inline {
		c.tables()
	}
}

// addKey adds a key. The name of a table is a part of a longer key.
func (c *completion) addKey(k farm.Key) {
	after := " = "
	switch {
	case k.Type == farm.TableType || k.Type == farm.TablesType:
		if !c.at.inline {
			return // tables offers it
		}
		after = "."
	}
	c.add(completionItem{Label: k.Name, Kind: kindProperty, Detail: typeWords(k),
		Documentation: strings.Join(append(facts(k), "", about(k)), "\n")}, k.Name+after)
}

// fits reports whether a key has an effect in the farm, as far as the document tells its mode and its checks.
func (c *completion) fits(k farm.Key) bool {
	if mode := c.mode(); mode != "" && k.Modes != nil && !slices.Contains(k.Modes, farm.Mode(mode)) {
		return false
	}
	if len(c.at.path) == 3 && k.Table == healthTable && k.Name == "panic" {
		return false // a key of the farm alone
	}
	check := c.check()
	return check == "" || k.Table != healthTable || k.Types == nil || slices.Contains(k.Types, farm.HealthType(check))
}

// mode is the mode of the farm; "" if the document does not tell it: a drop-in, defaults, a word that is half written.
func (c *completion) mode() string {
	mode, has := c.text("mode")
	options, _ := keyOf("", "mode")
	switch {
	case slices.Contains(options.Options, mode):
		return mode
	case has || c.isDropIn() || filepath.Base(c.document.path) == farm.DefaultsFile:
		return ""
	}
	return options.Default
}

// check is the type of checks in the table of the position; "" if the document does not tell it.
func (c *completion) check() string {
	check, _ := c.text(append(slices.Clone(c.at.path), "type")...)
	if options, _ := keyOf(healthTable, "type"); slices.Contains(options.Options, check) {
		return check
	}
	return ""
}

// isDropIn reports whether the document amends a farm of another file.
func (c *completion) isDropIn() bool {
	return strings.HasSuffix(filepath.Dir(c.document.path), dropInsEnding)
}

// text gives the text of a key of the document.
func (c *completion) text(path ...string) (string, bool) {
	for _, s := range c.spans {
		if s.kind == valuePart && slices.Equal(s.path, path) {
			return strings.Trim(c.document.text[s.start:s.end], `"'`), true
		}
	}
	return "", false
}

// has reports whether the document has a key of the table elsewhere.
func (c *completion) has(name string) bool {
	path := append(slices.Clone(c.at.path), name)
	return slices.ContainsFunc(c.spans, func(s span) bool {
		return s.kind != valuePart && slices.Equal(s.path, path) && !c.isAt(s)
	})
}

// isAt reports whether the position is in a part, or right behind it.
func (c *completion) isAt(s span) bool { return s.start <= c.offset && c.offset <= s.end }

// tables adds headings: of the tables that the document does not have yet, and of a further backend.
func (c *completion) tables() {
	for _, k := range farm.Keys() {
		switch {
		case k.Table != "" || !c.fits(k):
		case k.Type == farm.TablesType:
			c.addHeading(k, k.Name+"."+c.freeBackend())
		case k.Type == farm.TableType && !c.hasTable(k.Name):
			c.addHeading(k, k.Name)
		}
	}
}

func (c *completion) addHeading(k farm.Key, name string) {
	c.add(completionItem{Label: "[" + name + "]", Kind: kindModule, Detail: "table", FilterText: name,
		Documentation: about(k)}, "["+name+"]\n")
}

// hasTable reports whether the document has a table of the farm.
func (c *completion) hasTable(name string) bool {
	return slices.ContainsFunc(c.spans, func(s span) bool {
		return s.kind != valuePart && s.path[0] == name && !c.isAt(s)
	})
}

// freeBackend gives a name that no backend of the document has: b1, b2 and so on.
func (c *completion) freeBackend() string {
	taken := map[string]bool{}
	for _, name := range c.backends() {
		taken[name] = true
	}
	n := 1
	for taken[fmt.Sprintf("b%d", n)] {
		n++
	}
	return fmt.Sprintf("b%d", n)
}

// backends gives the names of the backends in the document, in their order, except at the position.
func (c *completion) backends() (names []string) {
	known := map[string]bool{}
	for _, s := range c.spans {
		isName := len(s.path) == 2 && s.path[0] == backendsTable && s.kind != valuePart
		if isName && !c.isAt(s) && !known[s.path[1]] {
			known[s.path[1]] = true
			names = append(names, s.path[1])
		}
	}
	return names
}

// headings adds names behind an opening bracket, with the closing one if the text has none.
func (c *completion) headings() {
	end := "]"
	if strings.HasPrefix(c.document.text[c.offset:], "]") {
		end = ""
	}
	item := func(name string) completionItem {
		return completionItem{Label: name, Kind: kindModule, Detail: "table"}
	}
	switch path := c.at.path; {
	case len(path) == 0:
		for _, k := range farm.Keys() {
			if k.Table == "" && c.fits(k) && k.Type == farm.TableType && !c.hasTable(k.Name) {
				c.add(item(k.Name), k.Name+end)
			} else if k.Table == "" && c.fits(k) && k.Type == farm.TablesType {
				c.add(item(k.Name), k.Name+".")
			}
		}
	case len(path) == 1 && path[0] == backendsTable:
		c.add(item(c.freeBackend()), c.freeBackend()+end)
		for _, name := range c.backends() {
			c.add(item(name), name+"."+healthTable+end)
		}
	case len(path) == 2 && path[0] == backendsTable:
		c.add(item(healthTable), healthTable+end)
	}
}
