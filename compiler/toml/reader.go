package toml

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"farmc/compiler/diag"
	burntsushi "github.com/BurntSushi/toml"
)

// Raw gives a value of any type, for keys of several types, and marks the key as known. It returns false if the key is
// absent.
func (t *Table) Raw(key string) (Value, bool) {
	t.known.put(key, struct{}{})
	return t.values.find(key)
}

// Has reports whether the files give the key, and marks it as known.
func (t *Table) Has(key string) bool {
	_, ok := t.Raw(key)
	return ok
}

// Keys are the keys of the files, in their order.
func (t *Table) Keys() []string { return t.values.keys }

// At is the place of the key's value, or of the table if the key is absent.
func (t *Table) At(key string) diag.Place {
	if v, ok := t.values.find(key); ok {
		return v.Place
	}
	return t.Place
}

// Text reads a string. It is "" if the key is absent or has a fault.
func (t *Table) Text(key string) string {
	v, ok := t.Raw(key)
	if !ok {
		return ""
	}
	text, ok := v.Data.(string)
	if !ok {
		t.typeFault(v, key, "a string", key+" = "+quoted(v.Data))
	}
	return text
}

// NumberOrText reads a whole number, or a string, as text. The example is a value of the key. It returns false if the
// key is absent or has a fault.
func (t *Table) NumberOrText(key, example string) (Value, string, bool) {
	v, ok := t.Raw(key)
	if !ok {
		return Value{}, "", false
	}
	switch data := v.Data.(type) {
	case string:
		return v, data, true
	case int64:
		return v, strconv.FormatInt(data, 10), true
	}
	t.typeFault(v, key, "a whole number or a string", key+" = "+example)
	return Value{}, "", false
}

// Choice reads a string that is one of the options. It is otherwise if the key is absent, and "" after a fault.
func (t *Table) Choice(key, otherwise string, options ...string) string {
	v, ok := t.Raw(key)
	if !ok {
		return otherwise
	}
	text, ok := v.Data.(string)
	if !ok {
		t.typeFault(v, key, "a string", fmt.Sprintf("%s = %q", key, options[0]))
		return ""
	}
	if !slices.Contains(options, text) {
		t.Fault(v.Place, t.hintFor(key, text, diag.Suggest(text, options)), "%s can't be %q", key, text)
		return ""
	}
	return text
}

// Flag reads true or false. It is otherwise if the key is absent, and false after a fault.
func (t *Table) Flag(key string, otherwise bool) bool {
	v, ok := t.Raw(key)
	if !ok {
		return otherwise
	}
	flag, ok := v.Data.(bool)
	if !ok {
		no := slices.Contains([]any{"false", "no", "off", "0", int64(0)}, v.Data)
		t.typeFault(v, key, "true or false", fmt.Sprintf("%s = %t", key, !no))
	}
	return flag
}

// Number reads a whole number from least to most. It is otherwise if the key is absent, and 0 after a fault.
func (t *Table) Number(key string, otherwise, least, most int) int {
	v, ok := t.Raw(key)
	if !ok {
		return otherwise
	}
	n, _ := t.intBetween(v, key, key+" = %d", least, most)
	return n
}

// Numbers reads a list of whole numbers, each from least to most, or a single one. Items with a fault are left out.
func (t *Table) Numbers(key string, least, most int) []int {
	var all []int
	for _, item := range t.list(key) {
		if n, ok := t.intBetween(item.Value, item.name, key+" = [%d]", least, most); ok {
			all = append(all, n)
		}
	}
	return all
}

func (t *Table) intBetween(v Value, name, example string, least, most int) (int, bool) {
	n, ok := v.Data.(int64)
	switch {
	case !ok:
		t.typeFault(v, name, "a whole number", fmt.Sprintf(example, nearestInt(v.Data, least, most)))
	case n < int64(least):
		t.Fault(v.Place, t.hintFor(name, n, ""), "%s is %d, at least %d", name, n, least)
	case n > int64(most):
		t.Fault(v.Place, "", "%s is %d, at most %d", name, n, most)
	default:
		return int(n), true
	}
	return 0, false
}

// nearestInt is the allowed number that is nearest to a value of another type, for an example.
func nearestInt(data any, least, most int) int {
	n := least
	switch data := data.(type) {
	case string:
		if read, err := strconv.Atoi(data); err == nil {
			n = read
		}
	case float64:
		n = int(max(float64(least), min(data, float64(most))))
	}
	return max(least, min(n, most))
}

// Words reads a list of strings, or a single one. Items that are empty or no strings are faults, and left out.
func (t *Table) Words(key string) []Word {
	var all []Word
	for _, item := range t.list(key) {
		text, ok := item.Data.(string)
		switch {
		case !ok:
			t.typeFault(item.Value, item.name, "a string", fmt.Sprintf("%s = [%s]", key, quoted(item.Data)))
		case text == "":
			t.Fault(item.Place, "", "%s is empty", item.name)
		default:
			all = append(all, Word{text, item.Place})
		}
	}
	return all
}

// An item is a value of a list, with its name in faults.
type item struct {
	Value
	name string
}

// list gives the items under a key, of which there is at least one; a value that is no list is the only one.
func (t *Table) list(key string) []item {
	v, ok := t.Raw(key)
	if !ok {
		return nil
	}
	values, ok := v.Data.([]Value)
	if !ok && v.Data != "" {
		return []item{{v, key}}
	}
	if len(values) == 0 {
		t.Fault(v.Place, "", "%s needs at least one", key)
	}
	items := make([]item, len(values))
	for i, v := range values {
		items[i] = item{v, "an item of " + key}
	}
	return items
}

// Sub reads a table, nil if there is none.
func (t *Table) Sub(key string) *Table {
	return t.subTable(key, func() string { return "[" + t.path(key) + "]" })
}

// Subs reads a table of tables, in the order of the files.
func (t *Table) Subs(key string) []*Table {
	holder := t.subTable(key, func() string { return "[" + t.path(key) + ".NAME]" })
	if holder == nil {
		return nil
	}
	var all []*Table
	for _, name := range holder.values.keys {
		if one := holder.Sub(name); one != nil {
			all = append(all, one)
		}
	}
	return all
}

// Entries reads a table of strings, in the order of the files.
func (t *Table) Entries(key string) []Entry { return t.entries(key, false) }

// Scalars reads a table of strings and whole numbers, in the order of the files. Numbers are given as text.
func (t *Table) Scalars(key string) []Entry { return t.entries(key, true) }

func (t *Table) entries(key string, numbers bool) []Entry {
	holder := t.subTable(key, func() string { return key + ` = { "..." = "..." }` })
	if holder == nil {
		return nil
	}
	var all []Entry
	for _, name := range holder.values.keys {
		v, _ := holder.Raw(name)
		text, ok := v.Data.(string)
		if n, isNumber := v.Data.(int64); isNumber && numbers {
			text, ok = strconv.FormatInt(n, 10), true
		}
		if ok {
			all = append(all, Entry{Word{name, v.key}, Word{text, v.Place}})
			continue
		}
		hint := burntsushi.Key{name}.String() + " = " + quoted(v.Data)
		if _, dots := v.Data.(*Table); dots {
			hint = `a key with dots stands in quotes, as in "192.0.2.1" = "..."`
		}
		holder.typeFault(v, name, map[bool]string{false: "a string", true: "a number or a string"}[numbers], hint)
	}
	return all
}

func (t *Table) subTable(key string, example func() string) *Table {
	v, ok := t.Raw(key)
	if !ok {
		return nil
	}
	below, ok := v.Data.(*Table)
	if !ok {
		t.typeFault(v, key, "a table", example())
		return nil
	}
	below.open = true
	return below
}

// path is the whole key as a file would write it.
func (t *Table) path(key ...string) string {
	for ; t.parent != nil; t = t.parent {
		key = append([]string{t.Name}, key...)
	}
	return burntsushi.Key(key).String()
}

// typeFault is the fault of a value that has another type than wanted.
func (t *Table) typeFault(v Value, name, wanted, example string) {
	t.Fault(v.Place, t.hintFor(name, v.Data, example), "%s is %s, not %s", name, typeName(v.Data), wanted)
}

// typeName names the type of a value.
func typeName(data any) string {
	switch data.(type) {
	case string:
		return "a string"
	case int64:
		return "a whole number"
	case float64:
		return "a decimal number"
	case bool:
		return "a boolean"
	case []Value:
		return "a list"
	case *Table:
		return "a table"
	}
	return "a date or time"
}

// quoted writes a value as the string that was likely meant.
func quoted(data any) string {
	switch data := data.(type) {
	case string, int64, float64, bool:
		return strconv.Quote(fmt.Sprint(data))
	case []Value:
		if len(data) == 1 {
			return quoted(data[0].Data)
		}
	}
	return `"..."`
}

// Fault tells the author of a fault in the table.
func (t *Table) Fault(at diag.Place, hint, format string, args ...any) {
	t.record(diag.Diagnostic{Place: at, Message: diag.Shorten(fmt.Sprintf(format, args...)), Hint: diag.Shorten(hint)})
}

// MaxFaults is the largest number of faults and warnings that are recorded of one file. More of them are counted: a
// file with as many is no farm.
const MaxFaults = 200

func (t *Table) record(d diag.Diagnostic) {
	top := t.Top()
	if top.full() {
		top.omitted++
		return
	}
	*top.faults = append(*top.faults, d)
}

func (t *Table) full() bool { return len(*t.Top().faults) >= MaxFaults }

// FaultOmitted records how many faults and warnings were omitted.
func (t *Table) FaultOmitted() {
	if top := t.Top(); top.omitted > 0 {
		*top.faults = append(*top.faults, diag.Diagnostic{Place: diag.Place{File: top.Place.File},
			Message: fmt.Sprintf("%d further faults or warnings", top.omitted)})
	}
}

// FaultWithNote records a fault that has a second place.
func (t *Table) FaultWithNote(at diag.Place, also diag.Note, format string, args ...any) {
	t.record(diag.Diagnostic{Place: at, Message: diag.Shorten(fmt.Sprintf(format, args...)), Also: []diag.Note{also}})
}

// Warn records a warning: a likely mistake that stops nothing.
func (t *Table) Warn(at diag.Place, format string, args ...any) {
	t.record(diag.Diagnostic{Severity: diag.Warning, Place: at, Message: diag.Shorten(fmt.Sprintf(format, args...))})
}

// WarnWithHint is Warn with a remedy.
func (t *Table) WarnWithHint(at diag.Place, hint, format string, args ...any) {
	t.record(diag.Diagnostic{Severity: diag.Warning, Place: at, Hint: hint,
		Message: diag.Shorten(fmt.Sprintf(format, args...))})
}

// Top is the table of the whole file.
func (t *Table) Top() *Table {
	for t.parent != nil {
		t = t.parent
	}
	return t
}

// Misspelt reports whether a key of the file is likely meant to be this one, which then isn't missing: FaultUnknown
// reports it.
func (t *Table) Misspelt(key string) bool {
	return slices.ContainsFunc(t.values.keys, func(k string) bool {
		return k != key && diag.Nearest(k, []string{key}) != ""
	})
}

// FaultUnknown tells of the keys that no reader has asked for, in this table and in the tables below it that were read.
// It comes after the reading, when all that is known has been asked for.
func (t *Table) FaultUnknown() {
	t.open = false
	for i, key := range t.values.keys {
		v := t.values.values[i]
		switch {
		case t.known.has(key):
		case t.full(): // a suggestion takes its time
			t.Top().omitted++
		default:
			t.Fault(v.key, t.suggestPlace(key), "unknown key %q%s", key, t.inTable())
		}
		if below, ok := v.Data.(*Table); ok && below.open {
			below.FaultUnknown()
		}
	}
}

func (t *Table) inTable() string {
	if t.parent == nil {
		return ""
	}
	return " in [" + t.path() + "]"
}

// suggestPlace suggests a likely meaning of a key that is unknown here.
func (t *Table) suggestPlace(key string) string {
	home := t.Top().tableKnowing(key)
	words := t.hintFor(key, nil, "")
	switch {
	case words != "":
		return words
	case home == nil:
		return diag.Suggest(key, slices.Sorted(slices.Values(t.known.keys)))
	case home.parent == nil:
		return key + " belongs at the top of the file, before the first table"
	}
	return key + " belongs in [" + home.path() + "]"
}

// Suggests reports whether a table of the file knows the unknown key, or this table knows a key of nearly its name.
func (t *Table) Suggests(key string) bool {
	return t.Top().tableKnowing(key) != nil || diag.Nearest(key, t.known.keys) != ""
}

// tableKnowing finds the first table that was asked for the key.
func (t *Table) tableKnowing(key string) *Table {
	if t.known.has(key) {
		return t
	}
	for _, v := range t.values.values {
		if below, ok := v.Data.(*Table); ok {
			if home := below.tableKnowing(key); home != nil {
				return home
			}
		}
	}
	return nil
}

// FormatDuration writes a duration of whole milliseconds as farms and nft do: "1d2h", "90s" becomes "1m30s".
func FormatDuration(d time.Duration) string {
	var out strings.Builder
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if n := d / unit.of; n > 0 {
			fmt.Fprintf(&out, "%d%s", n, unit.name)
			d -= n * unit.of
		}
	}
	return out.String()
}
