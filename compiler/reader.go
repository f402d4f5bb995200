package compiler

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"farmc/compiler/diag"
	"github.com/BurntSushi/toml"
)

// raw gives a value as it is, for keys of several types.
func (t *table) raw(key string) (value, bool) {
	t.known.put(key, struct{}{})
	return t.values.find(key)
}

// has says whether the files give the key.
func (t *table) has(key string) bool {
	_, ok := t.raw(key)
	return ok
}

// keys are those that the files give, in their order.
func (t *table) keys() []string { return t.values.keys }

// at is where the value of the key stands, or the table that lacks it.
func (t *table) at(key string) diag.Place {
	if v, ok := t.values.find(key); ok {
		return v.place
	}
	return t.place
}

// text reads a string.
func (t *table) text(key string) string {
	v, ok := t.raw(key)
	if !ok {
		return ""
	}
	text, ok := v.data.(string)
	if !ok {
		t.wrong(v, key, "a string", key+" = "+quoted(v.data))
	}
	return text
}

// choice reads a string that is one of the options.
func (t *table) choice(key, otherwise string, options ...string) string {
	v, ok := t.raw(key)
	if !ok {
		return otherwise
	}
	text, ok := v.data.(string)
	if !ok {
		t.wrong(v, key, "a string", fmt.Sprintf("%s = %q", key, options[0]))
		return ""
	}
	if !slices.Contains(options, text) {
		t.fault(v.place, diag.Suggest(text, options), "%s can't be %q", key, text)
		return ""
	}
	return text
}

// flag reads true or false.
func (t *table) flag(key string, otherwise bool) bool {
	v, ok := t.raw(key)
	if !ok {
		return otherwise
	}
	flag, ok := v.data.(bool)
	if !ok {
		no := slices.Contains([]any{"false", "no", "off", "0", int64(0)}, v.data)
		t.wrong(v, key, "true or false", fmt.Sprintf("%s = %t", key, !no))
	}
	return flag
}

// number reads a whole number from least to most.
func (t *table) number(key string, otherwise, least, most int) int {
	v, ok := t.raw(key)
	if !ok {
		return otherwise
	}
	n, _ := t.bounded(v, key, key+" = %d", least, most)
	return n
}

// numbers reads a list of whole numbers, each from least to most, or a single one.
func (t *table) numbers(key string, least, most int) []int {
	var all []int
	for _, item := range t.list(key) {
		if n, ok := t.bounded(item.value, item.name, key+" = [%d]", least, most); ok {
			all = append(all, n)
		}
	}
	return all
}

func (t *table) bounded(v value, name, example string, least, most int) (int, bool) {
	n, ok := v.data.(int64)
	switch {
	case !ok:
		t.wrong(v, name, "a whole number", fmt.Sprintf(example, whole(v.data, least, most)))
	case n < int64(least):
		t.fault(v.place, "", "%s is %d, at least %d", name, n, least)
	case n > int64(most):
		t.fault(v.place, "", "%s is %d, at most %d", name, n, most)
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

// words reads a list of strings, or a single one.
func (t *table) words(key string) []word {
	var all []word
	for _, item := range t.list(key) {
		text, ok := item.data.(string)
		switch {
		case !ok:
			t.wrong(item.value, item.name, "a string", fmt.Sprintf("%s = [%s]", key, quoted(item.data)))
		case text == "":
			t.fault(item.place, "", "%s is empty", item.name)
		default:
			all = append(all, word{text, item.place})
		}
	}
	return all
}

// An item is a value of a list, and what faults call it.
type item struct {
	value
	name string
}

// list gives the items under a key, of which there is at least one; a value that is no list is the only one.
func (t *table) list(key string) []item {
	v, ok := t.raw(key)
	if !ok {
		return nil
	}
	values, ok := v.data.([]value)
	if !ok && v.data != "" {
		return []item{{v, key}}
	}
	if len(values) == 0 {
		t.fault(v.place, "", "%s needs at least one", key)
	}
	items := make([]item, len(values))
	for i, v := range values {
		items[i] = item{v, "an item of " + key}
	}
	return items
}

// The bounds of a duration. nft counts in milliseconds.
const (
	day      = 24 * time.Hour
	shortest = time.Millisecond
	longest  = 365 * day
)

// written is how a duration is written: the units of time.ParseDuration, and days before them.
var written = regexp.MustCompile(`^(?:([0-9]+)d)?((?:[0-9]+(?:\.[0-9]+)?(?:ns|us|µs|ms|s|m|h))*)$`)

// duration reads a time like "90s", "1h30m" or "2d", of whole milliseconds, at most a year.
func (t *table) duration(key string) time.Duration {
	v, ok := t.raw(key)
	if !ok {
		return 0
	}
	text, ok := v.data.(string)
	if !ok {
		example := "5m"
		if n, ok := v.data.(int64); ok && n > 0 && n <= int64(longest/time.Second) {
			example = fmt.Sprintf("%ds", n)
		}
		t.wrong(v, key, "a duration", fmt.Sprintf("%s = %q", key, example))
		return 0
	}
	parts := written.FindStringSubmatch(text)
	if parts == nil || text == "" {
		t.fault(v.place, `a number and a unit, as in "90s", "5m", "1h30m" or "2d"`, "%s is %q, not a duration", key, text)
		return 0
	}
	d := span(parts[1], parts[2])
	switch {
	case d < shortest:
		t.fault(v.place, "", "%s is %q, at least 1ms", key, text)
	case d > longest:
		t.fault(v.place, "", "%s is %q, at most 365d", key, text)
	case d%shortest != 0:
		t.fault(v.place, "", "%s is %q, not a whole number of milliseconds", key, text)
	default:
		return d
	}
	return 0
}

// span adds days and the rest; what doesn't fit a time.Duration is longer than the longest.
func span(days, rest string) time.Duration {
	var d time.Duration
	if rest != "" {
		var err error
		if d, err = time.ParseDuration(rest); err != nil {
			return longest + 1
		}
	}
	if days == "" {
		return d
	}
	n, err := strconv.Atoi(days)
	if err != nil || n > int(longest/day) || d > longest {
		return longest + 1
	}
	return time.Duration(n)*day + d
}

// sub reads a table, nil if there is none.
func (t *table) sub(key string) *table {
	return t.below(key, func() string { return "[" + t.path(key) + "]" })
}

// subs reads a table of tables, in the order of the files.
func (t *table) subs(key string) []*table {
	holder := t.below(key, func() string { return "[" + t.path(key) + ".NAME]" })
	if holder == nil {
		return nil
	}
	var all []*table
	for _, name := range holder.values.keys {
		if one := holder.sub(name); one != nil {
			all = append(all, one)
		}
	}
	return all
}

// entries reads a table of strings, in the order of the files.
func (t *table) entries(key string) []entry {
	holder := t.below(key, func() string { return key + ` = { "..." = "..." }` })
	if holder == nil {
		return nil
	}
	var all []entry
	for _, name := range holder.values.keys {
		v, _ := holder.raw(name)
		text, ok := v.data.(string)
		if ok {
			all = append(all, entry{word{name, v.key}, word{text, v.place}})
			continue
		}
		hint := toml.Key{name}.String() + " = " + quoted(v.data)
		if _, dots := v.data.(*table); dots {
			hint = `a key with dots stands in quotes, as in "192.0.2.1" = "..."`
		}
		holder.wrong(v, name, "a string", hint)
	}
	return all
}

func (t *table) below(key string, example func() string) *table {
	v, ok := t.raw(key)
	if !ok {
		return nil
	}
	below, ok := v.data.(*table)
	if !ok {
		t.wrong(v, key, "a table", example())
		return nil
	}
	below.open = true
	return below
}

// path is the whole key as a file would write it.
func (t *table) path(key ...string) string {
	for ; t.parent != nil; t = t.parent {
		key = append([]string{t.name}, key...)
	}
	return toml.Key(key).String()
}

// wrong is the fault of a value that has another type than wanted.
func (t *table) wrong(v value, name, wanted, example string) {
	t.fault(v.place, example, "%s is %s, not %s", name, kind(v.data), wanted)
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
	case []value:
		return "a list"
	case *table:
		return "a table"
	}
	return "a date or time"
}

// quoted writes a value as the string that was likely meant.
func quoted(data any) string {
	switch data := data.(type) {
	case string, int64, float64, bool:
		return strconv.Quote(fmt.Sprint(data))
	case []value:
		if len(data) == 1 {
			return quoted(data[0].data)
		}
	}
	return `"..."`
}

// fault tells the author of a fault in the table.
func (t *table) fault(at diag.Place, hint, format string, args ...any) {
	faults := t.top().faults
	*faults = append(*faults, diag.Diagnostic{Place: at, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// alsoFault records a fault that has a second place.
func (t *table) alsoFault(at diag.Place, also diag.Note, format string, args ...any) {
	t.fault(at, "", format, args...)
	faults := *t.top().faults
	faults[len(faults)-1].Also = []diag.Note{also}
}

// warn records what is likely not meant, but stops nothing.
func (t *table) warn(at diag.Place, format string, args ...any) {
	t.fault(at, "", format, args...)
	faults := *t.top().faults
	faults[len(faults)-1].Severity = diag.Warning
}

func (t *table) top() *table {
	for t.parent != nil {
		t = t.parent
	}
	return t
}

// misspelt says whether a key of the file is likely meant to be this one, which then isn't missing: unknown tells.
func (t *table) misspelt(key string) bool {
	return slices.ContainsFunc(t.values.keys, func(k string) bool { return k != key && diag.Nearest(k, []string{key}) != "" })
}

// unknown tells of the keys that no reader has asked for, in this table and in those that were read from it. It
// comes after the reading, when all that is known has been asked for.
func (t *table) unknown() {
	t.open = false
	for i, key := range t.values.keys {
		v := t.values.values[i]
		if !t.known.has(key) {
			t.fault(v.key, t.belongs(key), "unknown key %q%s", key, t.inside())
		}
		if below, ok := v.data.(*table); ok && below.open {
			below.unknown()
		}
	}
}

func (t *table) inside() string {
	if t.parent == nil {
		return ""
	}
	return " in [" + t.path() + "]"
}

// belongs says what is likely meant by a key that isn't known here.
func (t *table) belongs(key string) string {
	home := t.top().knows(key)
	switch {
	case home == nil:
		return diag.Suggest(key, slices.Sorted(slices.Values(t.known.keys)))
	case home.parent == nil:
		return key + " belongs at the top of the file, before the first table"
	}
	return key + " belongs in [" + home.path() + "]"
}

// knows finds the first table that was asked for the key.
func (t *table) knows(key string) *table {
	if t.known.has(key) {
		return t
	}
	for _, v := range t.values.values {
		if below, ok := v.data.(*table); ok {
			if home := below.knows(key); home != nil {
				return home
			}
		}
	}
	return nil
}

// ParseDuration reads a time as farms write it: "90s", "1h30m", "2d"; at least a millisecond, and at most a year.
func ParseDuration(text string) (time.Duration, bool) {
	parts := written.FindStringSubmatch(text)
	if parts == nil || text == "" {
		return 0, false
	}
	d := span(parts[1], parts[2])
	return d, shortest <= d && d <= longest && d%shortest == 0
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
