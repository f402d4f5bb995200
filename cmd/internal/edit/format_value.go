package edit

import (
	"strings"

	"farmc/compiler/toml"
)

func (l *layout) assignmentText(s toml.Statement, indent string) string {
	return l.keyText(s.Parts) + " = " + l.valueText(s.Value, indent)
}

func (l *layout) keyText(parts []toml.KeyPart) string {
	texts := make([]string, len(parts))
	for i, part := range parts {
		texts[i] = l.text[part.Start:part.End]
	}
	return strings.Join(texts, ".")
}

// valueText lays out a value. Strings, numbers and values with comments inside keep their bytes. A list keeps its
// lines: one for all items, or one for each.
func (l *layout) valueText(v toml.Node, indent string) string {
	text := l.text[v.Start:v.End]
	between := l.between(v)
	switch {
	case text == "" || strings.Contains(between, "#"):
		return text
	case text[0] == '[':
		return l.listText(v, indent, strings.Contains(between, "\n"))
	case text[0] == '{':
		return l.bracesText(v, indent)
	}
	return text
}

func (l *layout) listText(v toml.Node, indent string, onLines bool) string {
	deeper := indent
	if onLines {
		deeper += "    "
	}
	items := make([]string, len(v.Items))
	for i, item := range v.Items {
		items[i] = l.valueText(item, deeper)
	}
	if !onLines || len(items) == 0 {
		return "[" + strings.Join(items, ", ") + "]"
	}
	return "[\n" + deeper + strings.Join(items, ",\n"+deeper) + ",\n" + indent + "]"
}

func (l *layout) bracesText(v toml.Node, indent string) string {
	if len(v.Keys) == 0 {
		return "{}"
	}
	pairs := make([]string, len(v.Keys))
	for i, s := range v.Keys {
		pairs[i] = l.assignmentText(s, indent)
	}
	return "{ " + strings.Join(pairs, ", ") + " }"
}

// between is the text of a list or an inline table without its items.
func (l *layout) between(v toml.Node) string {
	var out strings.Builder
	at := v.Start
	for _, item := range v.Items {
		out.WriteString(l.text[at:item.Start])
		at = item.End
	}
	for _, s := range v.Keys {
		out.WriteString(l.text[at:s.Start])
		at = s.End
	}
	if at > v.Start {
		out.WriteString(l.text[at:v.End])
	}
	return out.String()
}
