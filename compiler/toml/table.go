package toml

import "farmc/compiler/diag"

// A Table is a table of a farm's files: values by key, in document order, each with its place. Its readers take a key
// and give its value. They never fail: a wrong type or a value out of bounds becomes a fault at its place, the reader
// gives zero, and the reading goes on.
type Table struct {
	Name   string     // its own key: "new" of [limits.new], "" of the top
	Place  diag.Place // of that key; of the top, the file
	parent *Table
	faults *diag.Diagnostics // of the top; the others find it there, so that a merged table reports to its new top

	values  dictionary[Value]
	known   dictionary[struct{}] // the keys that were asked for, whether the file has them or not
	inline  bool                 // it is written in braces, where nothing can be added
	omitted int                  // of the top: faults beyond MaxFaults
	hint    Hint                 // of the top
	open    bool                 // it was handed out, and FaultUnknown has not seen it yet
	data    map[string]any       // toml's values, until all places are known
}

// A Hint gives the remedy for a faulty value of a key in words of its own; "" if it has none. The value of an unknown
// key is nil. The table is the one with the key.
type Hint func(t *Table, key string, value any) string

// SetHint sets the hint of all tables of the file.
func (t *Table) SetHint(hint Hint) { t.Top().hint = hint }

// hintFor is the caller's hint about a value, or else another one.
func (t *Table) hintFor(key string, value any, otherwise string) string {
	if hint := t.Top().hint; hint != nil {
		if words := hint(t, key, value); words != "" {
			return words
		}
	}
	return otherwise
}

// A Value is the value of a key, with its place.
type Value struct {
	Place diag.Place // of the value; of a [table], its key
	key   diag.Place // of its key; of a list's item, the list's
	Data  any        // string, int64, float64, bool, time.Time, []value or *table
}

// A Word is a string of a file.
type Word struct {
	Text  string
	Place diag.Place
}

// An Entry is a line of a table of strings.
type Entry struct {
	Key, Value Word
}

func newTable(parent *Table, name string, place diag.Place, data map[string]any) *Table {
	t := &Table{Name: name, Place: place, parent: parent, data: data}
	t.values.grow(len(data))
	return t
}

// fill gives toml's values of a table their places.
func (t *Table) fill(p *positions, marks []Statement) {
	at := t
	for _, m := range marks {
		above, last := m.Parts[:len(m.Parts)-1], m.Parts[len(m.Parts)-1]
		switch m.Kind {
		case Heading:
			at = t.descend(p, above).openTable(p, last)
		case ListHeading:
			at = t.descend(p, above).appendTable(p, last)
		case Assignment:
			at.descend(p, above).assign(p, last, m.Value)
		}
	}
}

// descend goes down a dotted key, and makes the tables that it implies.
func (t *Table) descend(p *positions, parts []KeyPart) *Table {
	for _, part := range parts {
		t = t.child(p, part)
	}
	return t
}

// openTable goes to the table of a heading. Its place is the heading's even if another heading implied it before.
func (t *Table) openTable(p *positions, k KeyPart) *Table {
	below := t.child(p, k)
	if t.values.get(k.Name).Data == any(below) {
		below.Place = p.at(k.Start)
		t.values.put(k.Name, Value{below.Place, below.Place, below})
	}
	return below
}

func (t *Table) child(p *positions, k KeyPart) *Table {
	place := p.at(k.Start)
	old, taken := t.values.find(k.Name)
	if below, ok := lastTable(old).(*Table); ok && !below.inline {
		return below
	}
	data, ok := t.data[k.Name].(map[string]any)
	made := newTable(t, k.Name, place, data)
	if taken || !ok {
		t.faultLost(k.Name, place)
	} else {
		t.values.put(k.Name, Value{place, place, made})
	}
	return made
}

// lastTable is the value that a key in a dotted key means: of [[tables]] the last.
func lastTable(v Value) any {
	if list, ok := v.Data.([]Value); ok && len(list) > 0 {
		return list[len(list)-1].Data
	}
	return v.Data
}

// appendTable adds a table to a list of [[tables]].
func (t *Table) appendTable(p *positions, k KeyPart) *Table {
	place := p.at(k.Start)
	v, taken := t.values.find(k.Name)
	if !taken {
		v = Value{Place: place, key: place}
	}
	list, _ := v.Data.([]Value)
	data, _ := t.data[k.Name].([]map[string]any)
	if len(list) >= len(data) {
		t.faultLost(k.Name, place)
		return newTable(t, k.Name, place, nil)
	}
	made := newTable(t, k.Name, place, data[len(list)])
	v.Data = append(list, Value{place, v.key, made})
	t.values.put(k.Name, v)
	return made
}

func (t *Table) assign(p *positions, k KeyPart, s Node) {
	key := p.at(k.Start)
	taken := t.values.has(k.Name)
	data, ok := t.data[k.Name]
	if taken || !ok {
		t.faultLost(k.Name, key)
		return
	}
	t.values.put(k.Name, t.locate(p, k.Name, key, s, data))
}

// faultLost tells of a key that is there twice, or that toml has lost. Toml tells of most keys that are there twice,
// but where a heading or a dotted key has implied a table of that name, it keeps one of the two without a word. And
// [a.b] after [a.b.c] drops the content of [a.b.c] if [[a]] before had a list named b.
func (t *Table) faultLost(key string, at diag.Place) {
	if old, taken := t.values.find(key); taken {
		t.FaultWithNote(
			at,
			diag.Note{Place: old.key, Message: "it is here already"},
			"key '%s' has already been defined",
			t.path(key),
		)
		return
	}
	t.Fault(at, "a table stands before those in it, as [a.b] before [a.b.c]", "key '%s' gets lost", t.path(key))
}

// locate gives a value its place, and so all that it holds.
func (t *Table) locate(p *positions, name string, key diag.Place, s Node, data any) Value {
	v := Value{Place: p.at(s.Start), key: key, Data: data}
	switch data := data.(type) {
	case []any:
		list := make([]Value, min(len(data), len(s.Items))) // they differ for a key that is there twice
		for i := range list {
			list[i] = t.locate(p, name, key, s.Items[i], data[i])
		}
		v.Data = list
	case map[string]any:
		inline := newTable(t, name, key, data)
		inline.inline = true
		inline.fill(p, s.Keys)
		v.Data = inline
	}
	return v
}

// Merge lays a drop-in over the table: tables merge, any other value replaces. The values of over belong to t from now
// on.
func (t *Table) Merge(over *Table) {
	for i, key := range over.values.keys {
		v := over.values.values[i]
		theirs, isTable := v.Data.(*Table)
		if mine, ok := t.values.get(key).Data.(*Table); ok && isTable {
			mine.Merge(theirs)
			continue
		}
		if isTable {
			theirs.parent = t
		}
		t.values.put(key, v)
	}
}

// Table gives the table below a key, and does not count as reading it; nil if there is none.
func (t *Table) Table(key string) *Table {
	below, _ := t.values.get(key).Data.(*Table)
	return below
}

// Gives reports whether the files give the key, and does not count as reading it.
func (t *Table) Gives(key string) bool { return t.values.has(key) }

// Tables gives the tables below a key by name, and does not count as reading them. Values of other types are left out.
func (t *Table) Tables(key string) map[string]*Table {
	holder := t.Table(key)
	if holder == nil {
		return nil
	}
	out := make(map[string]*Table, len(holder.values.keys))
	for i, name := range holder.values.keys {
		if below, ok := holder.values.values[i].Data.(*Table); ok {
			out[name] = below
		}
	}
	return out
}

// RemoveTables removes tables below a key, and the key itself if nothing is left.
func (t *Table) RemoveTables(key string, removed map[string]bool) {
	holder, _ := t.values.get(key).Data.(*Table)
	if holder == nil || len(removed) == 0 {
		return
	}
	isRemoved := func(name string) bool { return removed[name] }
	if holder.values.remove(isRemoved); len(holder.values.keys) == 0 {
		t.values.remove(func(name string) bool { return name == key })
	}
}
