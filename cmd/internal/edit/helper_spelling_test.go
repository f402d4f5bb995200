package edit

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// A segment is a part of a text that belongs to a key.
type segment struct {
	kind segmentKind
	at   []string // the key
	text string
}

type segmentKind int

const (
	keySegment     segmentKind = iota // an indented key and its "="
	valueSegment                      // a value, braces not included
	tailSegment                       // the rest of a line, with its comment
	glueSegment                       // braces, commas and spacing of the inline table
	remarkSegment                     // the comment on an item in braces
	headingSegment                    // the line of a heading
	fillerSegment                     // a blank line or a comment in a section of the table
)

// A speller writes documents as a person might.
type speller struct {
	*rand.Rand
	endOfLine string // "" for any
	sections  [][]segment
}

// spell writes a document with a random spelling.
func spell(random *rand.Rand, document map[string]any) []segment {
	s := &speller{Rand: random, endOfLine: pick(random, "\n", "\n", "\r\n", "")}
	out := s.fillers(nil)
	out = append(out, s.body(nil, document)...)
	s.Shuffle(len(s.sections), func(i, j int) { s.sections[i], s.sections[j] = s.sections[j], s.sections[i] })
	for _, section := range s.sections {
		out = append(out, section...)
	}
	if last := len(out) - 1; last >= 0 && s.one(4) {
		out[last].text = strings.TrimRight(out[last].text, "\r\n")
	}
	if s.one(10) {
		out = slices.Insert(out, 0, segment{kind: fillerSegment, text: byteOrderMark})
	}
	return out
}

func pick[T any](random *rand.Rand, from ...T) T { return from[random.IntN(len(from))] }

func (s *speller) one(of int) bool { return s.IntN(of) == 0 }

func (s *speller) end() string {
	if s.endOfLine == "" {
		return pick(s.Rand, "\n", "\r\n")
	}
	return s.endOfLine
}

func (s *speller) space() string { return pick(s.Rand, "", "", " ", " ", "  ", "\t") }

var remarks = []string{"# a = 1", "#", "# [a]", "#} , ] \"", "# '''", "# é \"\"\" {", "#b1.weight = 3", "# x\ty"}

func (s *speller) fillers(at []string) (out []segment) {
	for s.one(3) {
		text := pick(s.Rand, "", "", " \t", pick(s.Rand, remarks...))
		out = append(out, segment{fillerSegment, at, text + s.end()})
	}
	return out
}

// body writes the assignments of a section, and leaves tables with headings to later sections.
func (s *speller) body(section []string, table map[string]any) (out []segment) {
	for _, statement := range s.statements(section, section, table) {
		out = append(append(out, statement...), s.fillers(section)...)
	}
	return out
}

// statements gives the assignments of a table in random order: of a section's own, or of one with dotted keys in it.
func (s *speller) statements(section, at []string, table map[string]any) (out [][]segment) {
	for _, name := range names(table) {
		here := below(at, name)
		value, isTable := table[name].(map[string]any)
		list, _ := table[name].([]any)
		switch {
		case isTable && len(value) > 0 && s.one(3):
			out = append(out, s.statements(section, here, value)...)
		case isTable && !s.one(3):
			s.section(here, value)
		case ofTables(list) && s.one(2):
			s.tables(here, list)
		default:
			out = append(out, s.statement(section, here, table[name]))
		}
	}
	s.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func names(table map[string]any) (out []string) {
	for name := range table {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func ofTables(list []any) bool {
	for _, item := range list {
		if _, isTable := item.(map[string]any); !isTable {
			return false
		}
	}
	return len(list) > 0
}

func (s *speller) section(at []string, table map[string]any) {
	body := s.body(at, table)
	implied := len(table) > 0 && !slices.ContainsFunc(body, func(b segment) bool { return b.kind == keySegment }) &&
		s.hasSection(at)
	if implied && s.one(2) {
		return
	}
	s.sections = append(s.sections, append(s.heading(at, "[", "]"), body...))
}

// hasSection reports whether all tables in a table are written, one of them with a heading.
func (s *speller) hasSection(at []string) bool {
	return slices.ContainsFunc(s.sections, func(section []segment) bool {
		h := section[0].at
		return len(h) > len(at) && slices.Equal(h[:len(at)], at)
	})
}

func (s *speller) heading(at []string, opening, closing string) []segment {
	indent := s.space()
	text := indent + opening + s.space() + s.key(at) + s.space() + closing
	return append([]segment{{headingSegment, at, text + s.tail(len(indent))}}, s.fillers(at)...)
}

// tables writes a list of tables. All lines belong to the list.
func (s *speller) tables(at []string, list []any) {
	var out []segment
	for _, item := range list {
		out = append(out, s.heading(at, "[[", "]]")...)
		for _, name := range names(item.(map[string]any)) {
			out = append(out, s.statement(at, below(at, name), item.(map[string]any)[name])...)
		}
	}
	for i := range out {
		out[i].at = at
		if out[i].kind != headingSegment {
			out[i].kind = fillerSegment
		}
	}
	s.sections = append(s.sections, out)
}

func (s *speller) key(parts []string) string {
	var out []string
	for _, name := range parts {
		literal := keyLiteral(name)
		if s.one(6) {
			literal = pick(s.Rand, stringLiteral(name), "'"+name+"'", `"`+escaped(name)+`"`)
		}
		out = append(out, literal)
	}
	return strings.Join(out, pick(s.Rand, ".", ".", " . "))
}

func escaped(text string) string {
	var out strings.Builder
	for _, r := range text {
		fmt.Fprintf(&out, `\U%08X`, r)
	}
	return out.String()
}

// tail writes the rest of a line, sometimes with a comment that goes on in the next line, deeper than the statement.
func (s *speller) tail(indent int) string {
	if s.one(2) {
		return s.space() + s.end()
	}
	out := s.space() + pick(s.Rand, remarks...) + s.end()
	if s.one(4) {
		out += strings.Repeat(" ", indent+1+s.IntN(5)) + "# and so on" + s.end()
	}
	return out
}

func (s *speller) statement(section, at []string, value any) []segment {
	indent := pick(s.Rand, "", "", "  ", "\t")
	out := []segment{{keySegment, at, indent + s.key(at[len(section):]) + s.space() + "=" + s.space()}}
	out = append(out, s.value(at, value)...)
	return append(out, segment{tailSegment, at, s.tail(len(indent))})
}

func (s *speller) value(at []string, value any) []segment {
	if table, isTable := value.(map[string]any); isTable {
		return s.braces(at, table)
	}
	return []segment{{valueSegment, at, s.literal(value)}}
}

// braces writes an inline table, on one line or on several.
func (s *speller) braces(at []string, table map[string]any) []segment {
	long := s.one(4)
	out := []segment{{glueSegment, at, "{" + s.space()}}
	items := s.items(at, at, table)
	for i, item := range items {
		if long {
			out = append(out, segment{glueSegment, at, s.end() + "  "})
		}
		out = append(out, item...)
		out = append(out, segment{glueSegment, at, s.space()})
		if i < len(items)-1 || long && s.one(2) {
			out = append(out, segment{glueSegment, at, "," + s.space()})
		}
		if long && s.one(2) {
			out = append(out, segment{remarkSegment, item[0].at, pick(s.Rand, remarks...)},
				segment{glueSegment, at, s.end()})
		}
	}
	return append(out, segment{glueSegment, at, "}"})
}

func (s *speller) items(braces, at []string, table map[string]any) (out [][]segment) {
	for _, name := range names(table) {
		here := below(at, name)
		if value, isTable := table[name].(map[string]any); isTable && len(value) > 0 && s.one(3) {
			out = append(out, s.items(braces, here, value)...)
			continue
		}
		key := segment{keySegment, here, s.key(here[len(braces):]) + s.space() + "=" + s.space()}
		out = append(out, append([]segment{key}, s.value(here, table[name])...))
	}
	s.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func (s *speller) literal(value any) string {
	switch value := value.(type) {
	case string:
		return s.text(value)
	case int64:
		return s.number(value)
	case []any:
		return s.list(value)
	}
	return order{}.literal(nil, value)
}

func (s *speller) text(text string) string {
	plain := !strings.ContainsFunc(text, func(r rune) bool { return (r < ' ' || r == 0x7f) && r != '\n' })
	switch {
	case s.one(3) && plain && !strings.ContainsAny(text, "'\n"):
		return "'" + text + "'"
	case s.one(4) && plain && !strings.Contains(text, "'"):
		return "'''\n" + text + "'''"
	case s.one(4):
		return "\"\"\"\\\n   " + strings.Trim(stringLiteral(text), `"`) + `"""`
	case s.one(4):
		return `"` + escaped(text) + `"`
	}
	return stringLiteral(text)
}

func (s *speller) number(n int64) string {
	switch {
	case n >= 0 && s.one(4):
		return fmt.Sprintf("0x%X", n)
	case n >= 0 && s.one(6):
		return "+" + strconv.FormatInt(n, 10)
	case n >= 10 && s.one(4):
		return strconv.FormatInt(n/10, 10) + "_" + strconv.FormatInt(n%10, 10)
	}
	return strconv.FormatInt(n, 10)
}

func (s *speller) list(list []any) string {
	out := "[" + s.space()
	for i, item := range list {
		out += s.literal(item) + s.space()
		if i < len(list)-1 || s.one(3) {
			out += "," + s.space()
		}
		if s.one(4) {
			out += pick(s.Rand, remarks...) + s.end() + s.space()
		}
	}
	return out + "]"
}

func joined(segments []segment) string {
	var out strings.Builder
	for _, s := range segments {
		out.WriteString(s.text)
	}
	return out.String()
}
