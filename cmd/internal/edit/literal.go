package edit

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// stringLiteral writes a text as a basic string of TOML. Each character that is not printable is escaped: control
// characters, the ends of lines, direction marks and other characters without a shape. So the literal has one line,
// and an editor shows all of it. Bytes that are not UTF-8 become U+FFFD; check refuses them.
func stringLiteral(text string) string {
	var out strings.Builder
	out.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			out.WriteString(`\` + string(r))
		case r == '\t':
			out.WriteString(`\t`)
		case r == '\n':
			out.WriteString(`\n`)
		case unicode.IsPrint(r):
			out.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&out, `\U%08x`, r)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	out.WriteByte('"')
	return out.String()
}

// longLine is the length of a line in bytes, above which lists and tables are written in several lines.
const longLine = 100

// literal writes a value on one line. order gives the names of a table in their order.
func (o order) literal(at []string, value any) string {
	switch value := value.(type) {
	case string:
		return stringLiteral(value)
	case int64:
		return strconv.FormatInt(value, 10)
	case float64:
		return floatLiteral(value)
	case bool:
		return strconv.FormatBool(value)
	case []any:
		return "[" + strings.Join(o.items(at, value), ", ") + "]"
	case map[string]any:
		return o.inlineTable(at, value)
	}
	panic(fmt.Sprintf("no literal for a value of type %T", value))
}

// floatLiteral writes a number with a dot or an exponent, as TOML tells it from a whole number.
func floatLiteral(f float64) string {
	text := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return text
}

func (o order) items(at []string, list []any) []string {
	items := make([]string, len(list))
	for i, item := range list {
		items[i] = o.literal(at, item)
	}
	return items
}

func (o order) inlineTable(at []string, table map[string]any) string {
	if len(table) == 0 {
		return "{}"
	}
	var pairs []string
	for _, name := range o.names(at, table) {
		pairs = append(pairs, keyLiteral(name)+" = "+o.literal(below(at, name), table[name]))
	}
	return "{ " + strings.Join(pairs, ", ") + " }"
}

// wrapped is literal, but a long list has a line for each item.
func (o order) wrapped(at []string, value any, endOfLine string) string {
	short := o.literal(at, value)
	list, isList := value.([]any)
	if !isList || len(short) <= longLine {
		return short
	}
	var out strings.Builder
	out.WriteString("[" + endOfLine)
	for _, item := range o.items(at, list) {
		out.WriteString("    " + item + "," + endOfLine)
	}
	out.WriteString("]")
	return out.String()
}
