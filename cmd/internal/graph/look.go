package graph

import (
	"fmt"
	"strings"
)

// A colour has a name, and its values on a light and on a dark page.
type colour struct{ name, light, dark string }

// colours of the picture. Texts have a contrast of 4.5 to 1 or more on the ground and on cards (WCAG 2.1, 1.4.3).
var colours = []colour{
	{"ground", "#ffffff", "#0d1117"},
	{"card", "#f6f8fa", "#161b22"},
	{"line", "#d0d7de", "#3d444d"},
	{"text", "#1f2328", "#e6edf3"},
	{"muted", "#59636e", "#9198a1"},
	{"accent", "#0969da", "#4493f8"},
	{"caution", "#9a6700", "#d29922"},
	{"stop", "#cf222e", "#f85149"},
}

// A look is a class of elements, with the colours of their areas and lines.
type look struct{ class, fill, stroke string }

var looks = []look{
	{"ground", "ground", ""},
	{"card", "card", "line"},
	{"frame", "", "line"},
	{"rule", "", "line"},
	{"track", "line", ""},
	{"text", "text", ""},
	{"muted", "muted", ""},
	{"accent", "accent", ""},
	{"caution", "caution", ""},
	{"stop", "stop", ""},
	{"flow", "", "accent"},
	{"reply", "", "muted"},
}

// paint gives the class of a look, and the same colours as presentation attributes, which hold without a style sheet.
func paint(class string) []string {
	for _, l := range looks {
		if l.class == class {
			return append([]string{"class", "fg-" + class}, l.attributes()...)
		}
	}
	panic("no look " + class)
}

func (l look) attributes() []string {
	out := []string{"fill", "none"}
	if l.fill != "" {
		out[1] = lightOf(l.fill)
	}
	if l.stroke != "" {
		out = append(out, "stroke", lightOf(l.stroke))
	}
	return out
}

func lightOf(name string) string {
	for _, c := range colours {
		if c.name == name {
			return c.light
		}
	}
	panic("no colour " + name)
}

// Style is a style sheet for pictures. The variables --fg-ground, --fg-card, --fg-line, --fg-text, --fg-muted,
// --fg-accent, --fg-caution and --fg-stop have the colours. They follow the colour scheme that the reader prefers. A
// page can set others.
func Style() string {
	var out, light, dark strings.Builder
	for _, c := range colours {
		fmt.Fprintf(&light, "--fg-%s:%s;", c.name, c.light)
		fmt.Fprintf(&dark, "--fg-%s:%s;", c.name, c.dark)
	}
	fmt.Fprintf(&out, ".farm-graph{%s}\n", light.String())
	fmt.Fprintf(&out, "@media (prefers-color-scheme:dark){.farm-graph{%s}}\n", dark.String())
	for _, l := range looks {
		fmt.Fprintf(&out, ".fg-%s{", l.class)
		if l.fill != "" {
			fmt.Fprintf(&out, "fill:var(--fg-%s);", l.fill)
		}
		if l.stroke != "" {
			fmt.Fprintf(&out, "stroke:var(--fg-%s);", l.stroke)
		}
		out.WriteString("}\n")
	}
	return out.String()
}
