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

// Raw gives a value as it is, for keys of several types.
func (t *Table) Raw(key string) (Value, bool) {
	t.known.put(key, struct{}{})
	return t.values.find(key)
}

// Has says whether the files give the key.
func (t *Table) Has(key string) bool {
	_, ok := t.Raw(key)
	return ok
}

// Keys are the keys of the files, in their order.
func (t *Table) Keys() []string { return t.values.keys }

// At is where the value of the key stands, or the table that lacks it.
func (t *Table) At(key string) diag.Place {
	if v, ok := t.values.find(key); ok {
		return v.Place
	}
	return t.Place
}

// Text reads a string.
func (t *Table) Text(key string) string {
	v, ok := t.Raw(key)
	if !ok {
		return ""
	}
	text, ok := v.Data.(string)
	if !ok {
		t.wrong(v, key, "a string", key+" = "+quoted(v.Data))
	}
	return text
}

// Choice reads a string that is one of the options.
func (t *Table) Choice(key, otherwise string, options ...string) string {
	v, ok := t.Raw(key)
	if !ok {
		return otherwise
	}
	text, ok := v.Data.(string)
	if !ok {
		t.wrong(v, key, "a string", fmt.Sprintf("%s = %q", key, options[0]))
		return ""
	}
	if !slices.Contains(options, text) {
		t.Fault(v.Place, diag.Suggest(text, options), "%s can't be %q", key, text)
		return ""
	}
	return text
}

// Flag reads true or false.
func (t *Table) Flag(key string, otherwise bool) bool {
	v, ok := t.Raw(key)
	if !ok {
		return otherwise
	}
	flag, ok := v.Data.(bool)
	if !ok {
		no := slices.Contains([]any{"false", "no", "off", "0", int64(0)}, v.Data)
		t.wrong(v, key, "true or false", fmt.Sprintf("%s = %t", key, !no))
	}
	return flag
}

// Number reads a whole number from least to most.
func (t *Table) Number(key string, otherwise, least, most int) int {
	v, ok := t.Raw(key)
	if !ok {
		return otherwise
	}
	n, _ := t.bounded(v, key, key+" = %d", least, most)
	return n
}

// Numbers reads a list of whole numbers, each from least to most, or a single one.
func (t *Table) Numbers(key string, least, most int) []int {
	var all []int
	for _, item := range t.list(key) {
		if n, ok := t.bounded(item.Value, item.name, key+" = [%d]", least, most); ok {
			all = append(all, n)
		}
	}
	return all
}

func (t *Table) bounded(v Value, name, example string, least, most int) (int, bool) {
	n, ok := v.Data.(int64)
	switch {
	case !ok:
		t.wrong(v, name, "a whole number", fmt.Sprintf(example, whole(v.Data, least, most)))
	case n < int64(least):
		t.Fault(v.Place, "", "%s is %d, at least %d", name, n, least)
	case n > int64(most):
		t.Fault(v.Place, "", "%s is %d, at most %d", name, n, most)
	default:
		return int(n), true
	}
	return 0, false
}

// whole is the number that is likely to be meant, for an example.
func whole(data any, least, most int) int {
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

// Words reads a list of strings, or a single one.
func (t *Table) Words(key string) []Word {
	var all []Word
	for _, item := range t.list(key) {
		text, ok := item.Data.(string)
		switch {
		case !ok:
			t.wrong(item.Value, item.name, "a string", fmt.Sprintf("%s = [%s]", key, quoted(item.Data)))
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
	return t.below(key, func() string { return "[" + t.path(key) + "]" })
}

// Subs reads a table of tables, in the order of the files.
func (t *Table) Subs(key string) []*Table {
	holder := t.below(key, func() string { return "[" + t.path(key) + ".NAME]" })
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
func (t *Table) Entries(key string) []Entry {
	holder := t.below(key, func() string { return key + ` = { "..." = "..." }` })
	if holder == nil {
		return nil
	}
	var all []Entry
	for _, name := range holder.values.keys {
		v, _ := holder.Raw(name)
		text, ok := v.Data.(string)
		if ok {
			all = append(all, Entry{Word{name, v.key}, Word{text, v.Place}})
			continue
		}
		hint := burntsushi.Key{name}.String() + " = " + quoted(v.Data)
		if _, dots := v.Data.(*Table); dots {
			hint = `a key with dots stands in quotes, as in "192.0.2.1" = "..."`
		}
		holder.wrong(v, name, "a string", hint)
	}
	return all
}

func (t *Table) below(key string, example func() string) *Table {
	v, ok := t.Raw(key)
	if !ok {
		return nil
	}
	below, ok := v.Data.(*Table)
	if !ok {
		t.wrong(v, key, "a table", example())
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

// wrong is the fault of a value that has another type than wanted.
func (t *Table) wrong(v Value, name, wanted, example string) {
	t.Fault(v.Place, example, "%s is %s, not %s", name, kind(v.Data), wanted)
}

// kind names the type of a value.
func kind(data any) string {
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
	t.record(diag.Diagnostic{Place: at, Message: shorten(fmt.Sprintf(format, args...)), Hint: shorten(hint)})
}

// MaxFaults is the number of faults and warnings that are recorded of one table. More of them are counted: a file with
// as many is no farm.
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

// maxMessage is the length of a message in bytes: a message quotes values, which have any length.
const maxMessage = 400

func shorten(text string) string {
	if len(text) <= maxMessage {
		return text
	}
	return strings.ToValidUTF8(
		text[:maxMessage/2],
		"",
	) + " ... " + strings.ToValidUTF8(
		text[len(text)-maxMessage/4:],
		"",
	)
}

// FaultWithNote records a fault that has a second place.
func (t *Table) FaultWithNote(at diag.Place, also diag.Note, format string, args ...any) {
	t.record(diag.Diagnostic{Place: at, Message: shorten(fmt.Sprintf(format, args...)), Also: []diag.Note{also}})
}

// Warn records a warning: a likely mistake that stops nothing.
func (t *Table) Warn(at diag.Place, format string, args ...any) {
	t.record(diag.Diagnostic{Severity: diag.Warning, Place: at, Message: shorten(fmt.Sprintf(format, args...))})
}

// Top is the table of the whole file.
func (t *Table) Top() *Table {
	for t.parent != nil {
		t = t.parent
	}
	return t
}

// Misspelt says whether a key of the file is likely meant to be this one, which then isn't missing: FaultUnknown
// reports it.
func (t *Table) Misspelt(key string) bool {
	return slices.ContainsFunc(
		t.values.keys,
		func(k string) bool { return k != key && diag.Nearest(k, []string{key}) != "" },
	)
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
			t.Fault(v.key, t.belongs(key), "unknown key %q%s", key, t.inside())
		}
		if below, ok := v.Data.(*Table); ok && below.open {
			below.FaultUnknown()
		}
	}
}

func (t *Table) inside() string {
	if t.parent == nil {
		return ""
	}
	return " in [" + t.path() + "]"
}

// belongs suggests a likely meaning of a key that is unknown here.
func (t *Table) belongs(key string) string {
	home := t.Top().knows(key)
	switch {
	case home == nil:
		return diag.Suggest(key, slices.Sorted(slices.Values(t.known.keys)))
	case home.parent == nil:
		return key + " belongs at the top of the file, before the first table"
	}
	return key + " belongs in [" + home.path() + "]"
}

// knows finds the first table that was asked for the key.
func (t *Table) knows(key string) *Table {
	if t.known.has(key) {
		return t
	}
	for _, v := range t.values.values {
		if below, ok := v.Data.(*Table); ok {
			if home := below.knows(key); home != nil {
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
