package compiler

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// A table is what a farm's files say under one heading: values by key, in document order, each with its place.
// Its readers take a key and give what it holds. They never fail: a wrong type or a value out of bounds becomes a
// fault at its place, the reader gives zero, and the reading goes on.
type table struct {
	name   string // its own key: "new" of [limits.new], "" of the top
	place  Place  // of that key; of the top, the file
	parent *table
	faults *Diagnostics // of the top; the others find it there, so that a merged table reports to its new top

	keys   []string
	values map[string]value
	known  map[string]bool // the keys that were asked for, whether the file has them or not
	inline bool            // it is written in braces, where nothing can be added
	open   bool            // it was handed out, and unknown has not been there yet
	data   map[string]any  // what toml read, while the places are laid beside it
}

// A value is what a file says under one key, and where.
type value struct {
	place Place // of the value; of a [table], its key
	key   Place // of its key; of a list's item, the list's
	data  any   // string, int64, float64, bool, time.Time, []value or *table
}

// A word is a string of a file.
type word struct {
	text  string
	place Place
}

// An entry is a line of a table of strings.
type entry struct {
	key, value word
}

// parseTable reads the text of a file. What isn't TOML becomes a fault, of which toml tells the first alone, and
// there is no table.
func parseTable(file string, text []byte, faults *Diagnostics) *table {
	p := &page{file: file, text: strings.TrimLeft(string(text), "\ufeff")}
	if d, bad := p.refuse(); bad {
		*faults = append(*faults, d)
		return nil
	}
	marks, deep := scanKeys(p.text)
	if deep >= 0 {
		*faults = append(*faults, Diagnostic{Place: p.at(deep), Message: fmt.Sprintf("more than %d levels deep", deepest)})
		return nil
	}
	data := make(map[string]any)
	md, err := toml.Decode(p.text, &data)
	if err != nil {
		*faults = append(*faults, p.explain(err))
		return nil
	}
	if !agree(marks, md.Keys()) {
		*faults = append(*faults, Diagnostic{Place: Place{File: file}, Message: "farmc doesn't find the keys of this file, though it is valid TOML",
			Hint: "please report it with the file: the mistake is farmc's"})
		return nil
	}
	top := newTable(nil, "", Place{File: file}, data)
	top.faults = faults
	before := len(*faults)
	top.fill(p, marks)
	if len(*faults) > before {
		return nil
	}
	return top
}

// refuse finds what stands in the way of reading a text at all. Toml takes an empty file, and tells other places
// of the rest.
func (p *page) refuse() (Diagnostic, bool) {
	if strings.TrimSpace(p.text) == "" {
		return Diagnostic{Place: Place{File: p.file}, Message: "the file is empty",
			Hint: "an editor may have been stopped in the middle; to mask a farm, link its name to /dev/null"}, true
	}
	for i, r := range p.text {
		if message, hint := blemish(p.text[i:], r); message != "" {
			return Diagnostic{Place: p.at(i), Message: message, Hint: hint}, true
		}
	}
	return Diagnostic{}, false
}

// blemish tells what is wrong with the rune r, at which the text begins.
func blemish(text string, r rune) (message, hint string) {
	switch {
	case r == utf8.RuneError && !strings.HasPrefix(text, "\ufffd"):
		return fmt.Sprintf("byte 0x%02x is not UTF-8", text[0]), "save the file as UTF-8"
	case r >= ' ' && r != 0x7f || r == '\t' || r == '\n' || strings.HasPrefix(text, "\r\n"):
		return "", ""
	case r == 0:
		return "byte 0x00 in a text", "the file may be UTF-16, to be saved as UTF-8, or damaged by a crash"
	case r == '\r':
		return "carriage return without line feed", "a line ends with a line feed, or with both"
	}
	return fmt.Sprintf("control character 0x%02x", r), fmt.Sprintf(`a string may hold it as "\u%04x"`, r)
}

// explain turns toml's complaint into ours.
func (p *page) explain(err error) Diagnostic {
	var syntax toml.ParseError
	if !errors.As(err, &syntax) {
		return Diagnostic{Place: Place{File: p.file}, Message: err.Error()}
	}
	at := p.offsetOf(syntax.Position)
	d := Diagnostic{Place: p.at(at), Message: voice(syntax.Message), Hint: advice(syntax.Message)}
	if before, ok := p.earlier(syntax.Message, at); ok {
		d.Also = []Note{{before, "it is here already"}}
	}
	return d
}

// offsetOf is the offset of toml's position. Its Col is no help: it is wrong at the start of a line, and counts bytes.
// At the end of the file Start may be inside of the last character.
func (p *page) offsetOf(at toml.Position) int {
	offset := max(0, min(at.Start, len(p.text)))
	for offset < len(p.text) && offset > 0 && !utf8.RuneStart(p.text[offset]) {
		offset--
	}
	return offset
}

// voice says toml's message as we do: lower case, no full stop, no escapes for what an author can't see.
func voice(message string) string {
	message = strings.NewReplacer(
		`'\n'`, "the end of the line",
		`'\x00'`, "the end of the file",
		"a top-level item to end with a newline, comment, or EOF", "the line to end here",
		"unexpected EOF", "unexpected end of the file",
	).Replace(message)
	return strings.ToLower(message[:1]) + strings.TrimSuffix(message[1:], ".")
}

// advice says what would be right where toml's message leaves it open.
func advice(message string) string {
	for _, known := range []struct{ beginning, advice string }{
		{"expected value but found", inQuotes},
		{"expected a top-level item to end", inQuotes},
		{"Invalid float", inQuotes},
		{"invalid datetime", inQuotes},
		{"strings cannot contain newlines", "the closing quote is missing"},
		{"invalid escape in string", "a backslash is written twice, or the string in single quotes"},
		{"expected '.' or '='", `a line is a key, "=" and a value, or the name of a table in brackets`},
	} {
		if strings.HasPrefix(message, known.beginning) {
			return known.advice
		}
	}
	return ""
}

const inQuotes = `text stands in quotes, as in timeout = "5m"; a flag is true or false`

// earlier finds the key that was there before the one at the offset, if toml says that it is there twice.
func (p *page) earlier(message string, offset int) (Place, bool) {
	_, key, _ := strings.Cut(message, "'")
	key, told, _ := strings.Cut(key, "' ")
	if !strings.HasPrefix(told, "has already been") && !strings.HasPrefix(told, "was already") {
		return Place{}, false
	}
	marks, _ := scanKeys(p.text[:offset])
	for _, f := range slices.Backward(flatten(marks)) {
		if f.path.String() == key {
			return p.at(f.at), true
		}
	}
	return Place{}, false
}

// A page turns the offsets of a text into places. It goes on from the last one, so that offsets in rising order
// cost one walk over the text, however long its lines are.
type page struct {
	file, text string

	offset     int // the last
	line       int // its number, from 0
	start, end int // of the line
	column     int // from 0
}

func (p *page) at(offset int) Place {
	offset = max(0, min(offset, len(p.text)))
	if offset < p.offset || p.end == 0 {
		*p = page{file: p.file, text: p.text, end: ending(p.text)}
	}
	for offset > p.end {
		p.line++
		p.start = p.end + 1
		p.offset, p.column = p.start, 0
		p.end = p.start + ending(p.text[p.start:])
	}
	p.column += utf8.RuneCountInString(p.text[p.offset:offset])
	p.offset = offset
	return Place{File: p.file, Line: p.line + 1, Column: p.column + 1, Text: strings.TrimSuffix(p.text[p.start:p.end], "\r")}
}

// ending is the length of the text's first line.
func ending(text string) int {
	if end := strings.IndexByte(text, '\n'); end >= 0 {
		return end
	}
	return len(text)
}

func newTable(parent *table, name string, place Place, data map[string]any) *table {
	return &table{name: name, place: place, parent: parent, values: make(map[string]value), known: make(map[string]bool), data: data}
}

// fill lays the marks of a table beside what toml read there.
func (t *table) fill(p *page, marks []mark) {
	at := t
	for _, m := range marks {
		above, last := m.parts[:len(m.parts)-1], m.parts[len(m.parts)-1]
		switch m.form {
		case heading:
			at = t.within(p, above).head(p, last)
		case listHeading:
			at = t.within(p, above).grow(p, last)
		case assignment:
			at.within(p, above).assign(p, last, m.value)
		}
	}
}

// within goes down a dotted key, and makes the tables that it implies.
func (t *table) within(p *page, parts []part) *table {
	for _, part := range parts {
		t = t.child(p, part)
	}
	return t
}

// head goes to the table of a heading, whose place is the heading's even if another one implied it before.
func (t *table) head(p *page, k part) *table {
	below := t.child(p, k)
	if t.values[k.name].data == any(below) {
		below.place = p.at(k.at)
		t.put(k.name, value{below.place, below.place, below})
	}
	return below
}

func (t *table) child(p *page, k part) *table {
	place := p.at(k.at)
	old, taken := t.values[k.name]
	if below, ok := last(old).(*table); ok && !below.inline {
		return below
	}
	data, ok := t.data[k.name].(map[string]any)
	made := newTable(t, k.name, place, data)
	if taken || !ok {
		t.overlooked(k.name, place)
	} else {
		t.put(k.name, value{place, place, made})
	}
	return made
}

// last is what a key in a dotted one stands for: of [[tables]] the last.
func last(v value) any {
	if list, ok := v.data.([]value); ok && len(list) > 0 {
		return list[len(list)-1].data
	}
	return v.data
}

// grow adds a table to a list of [[tables]].
func (t *table) grow(p *page, k part) *table {
	place := p.at(k.at)
	v, taken := t.values[k.name]
	if !taken {
		v = value{place: place, key: place}
	}
	list, _ := v.data.([]value)
	data, _ := t.data[k.name].([]map[string]any)
	if len(list) >= len(data) {
		t.overlooked(k.name, place)
		return newTable(t, k.name, place, nil)
	}
	made := newTable(t, k.name, place, data[len(list)])
	v.data = append(list, value{place, v.key, made})
	t.put(k.name, v)
	return made
}

func (t *table) assign(p *page, k part, s spot) {
	key := p.at(k.at)
	_, taken := t.values[k.name]
	data, ok := t.data[k.name]
	if taken || !ok {
		t.overlooked(k.name, key)
		return
	}
	t.put(k.name, t.join(p, k.name, key, s, data))
}

// overlooked tells of a key that is there twice, or that toml has lost. Toml tells of most keys that are there twice,
// but where a heading or a dotted key has implied a table of that name, it keeps one of the two without a word. And
// [a.b] after [a.b.c] takes away what [a.b.c] holds if in [[a]] before there was a list named b.
func (t *table) overlooked(key string, at Place) {
	if old, taken := t.values[key]; taken {
		t.alsoFault(at, Note{old.key, "it is here already"}, "key '%s' has already been defined", t.path(key))
		return
	}
	t.fault(at, "a table stands before those in it, as [a.b] before [a.b.c]", "key '%s' gets lost", t.path(key))
}

// join gives a value its place, and so all that it holds.
func (t *table) join(p *page, name string, key Place, s spot, data any) value {
	v := value{place: p.at(s.at), key: key, data: data}
	switch data := data.(type) {
	case []any:
		list := make([]value, min(len(data), len(s.items))) // they differ for a key that is there twice
		for i := range list {
			list[i] = t.join(p, name, key, s.items[i], data[i])
		}
		v.data = list
	case map[string]any:
		inline := newTable(t, name, key, data)
		inline.inline = true
		inline.fill(p, s.marks)
		v.data = inline
	}
	return v
}

func (t *table) put(key string, v value) {
	if _, ok := t.values[key]; !ok {
		t.keys = append(t.keys, key)
	}
	t.values[key] = v
}

// merge lays a drop-in over the table: tables merge, any other value replaces. What over holds is t's from now on.
func (t *table) merge(over *table) {
	for _, key := range over.keys {
		v := over.values[key]
		theirs, isTable := v.data.(*table)
		if mine, ok := t.values[key].data.(*table); ok && isTable {
			mine.merge(theirs)
			continue
		}
		if isTable {
			theirs.parent = t
		}
		t.put(key, v)
	}
}

// raw gives a value as it is, for keys of several types.
func (t *table) raw(key string) (value, bool) {
	t.known[key] = true
	v, ok := t.values[key]
	return v, ok
}

// has says whether the files give the key.
func (t *table) has(key string) bool {
	_, ok := t.raw(key)
	return ok
}

// at is where the value of the key stands, or the table that lacks it.
func (t *table) at(key string) Place {
	if v, ok := t.values[key]; ok {
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
		t.fault(v.place, suggestion(text, options), "%s can't be %q", key, text)
		return ""
	}
	return text
}

// suggestion is the option that is likely to be meant, or all of them.
func suggestion(word string, options []string) string {
	if near := nearest(word, options); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(options) == 0 {
		return ""
	}
	return "one of " + strings.Join(options, ", ")
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
	return t.below(key, "["+t.path(key)+"]")
}

// subs reads a table of tables, in the order of the files.
func (t *table) subs(key string) []*table {
	holder := t.below(key, "["+t.path(key)+".NAME]")
	if holder == nil {
		return nil
	}
	var all []*table
	for _, name := range holder.keys {
		if one := holder.sub(name); one != nil {
			all = append(all, one)
		}
	}
	return all
}

// entries reads a table of strings, in the order of the files.
func (t *table) entries(key string) []entry {
	holder := t.below(key, key+` = { "..." = "..." }`)
	if holder == nil {
		return nil
	}
	var all []entry
	for _, name := range holder.keys {
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

func (t *table) below(key, example string) *table {
	v, ok := t.raw(key)
	if !ok {
		return nil
	}
	below, ok := v.data.(*table)
	if !ok {
		t.wrong(v, key, "a table", example)
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
func (t *table) fault(at Place, hint, format string, args ...any) {
	faults := t.top().faults
	*faults = append(*faults, Diagnostic{Place: at, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// alsoFault records a fault that has a second place.
func (t *table) alsoFault(at Place, also Note, format string, args ...any) {
	t.fault(at, "", format, args...)
	faults := *t.top().faults
	faults[len(faults)-1].Also = []Note{also}
}

// warn records what is likely not meant, but stops nothing.
func (t *table) warn(at Place, format string, args ...any) {
	t.fault(at, "", format, args...)
	faults := *t.top().faults
	faults[len(faults)-1].Severity = Warning
}

func (t *table) top() *table {
	for t.parent != nil {
		t = t.parent
	}
	return t
}

// unknown tells of the keys that no reader has asked for, in this table and in those that were read from it. It
// comes after the reading, when all that is known has been asked for.
func (t *table) unknown() {
	t.open = false
	for _, key := range t.keys {
		v := t.values[key]
		if !t.known[key] {
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
		return suggestion(key, slices.Sorted(maps.Keys(t.known)))
	case home.parent == nil:
		return key + " belongs at the top of the file, before the first table"
	}
	return key + " belongs in [" + home.path() + "]"
}

// knows finds the first table that was asked for the key.
func (t *table) knows(key string) *table {
	if t.known[key] {
		return t
	}
	for _, k := range t.keys {
		if below, ok := t.values[k].data.(*table); ok {
			if home := below.knows(key); home != nil {
				return home
			}
		}
	}
	return nil
}
