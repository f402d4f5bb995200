package graph

import (
	"fmt"
	"strings"
)

// maxWords is the number of backends that the description of a picture names.
const maxWords = 24

// Words describes the picture in sentences, for people who do not see it.
func (p Picture) Words() string {
	out := []string{fmt.Sprintf("Farm %s, mode %s.", p.Name, p.Mode)}
	for _, part := range []struct {
		name  string
		items []Item
	}{{"Clients", p.Clients}, {"Service", p.Frontends}, {"Filters", p.Filters}, {"Choice", p.Choice},
		{"Delivery", p.Delivery}} {
		if len(part.items) > 0 {
			out = append(out, part.name+": "+sentence(part.items)+".")
		}
	}
	for i, b := range p.Backends {
		if i == maxWords {
			out = append(out, fmt.Sprintf("And %s more.", counted(len(p.Backends)-i, "backend")))
			break
		}
		out = append(out, "Backend "+b.Name+", "+b.Address+": "+b.words()+".")
	}
	return strings.Join(append(out, p.Reply+"."), " ")
}

// sentence joins items.
func sentence(items []Item) string {
	var out []string
	for _, i := range items {
		details := i.Details[:min(len(i.Details), maxDetails)]
		if more := len(i.Details) - len(details); more > 0 {
			details = append(details[:len(details):len(details)], fmt.Sprintf("and %d more", more))
		}
		out = append(out, strings.TrimSpace(i.Label+" "+strings.Join(details, ", ")))
	}
	return strings.Join(out, "; ")
}

// listed joins words of a type.
func listed[S ~string](of []S) string {
	out := make([]string, len(of))
	for i, word := range of {
		out[i] = string(word)
	}
	return strings.Join(out, ", ")
}

// wordsOf gives the texts of values.
func wordsOf[T fmt.Stringer](of []T) []string {
	out := make([]string, len(of))
	for i, value := range of {
		out[i] = value.String()
	}
	return out
}

// words joins the texts of values.
func words[T fmt.Stringer](of []T) string { return strings.Join(wordsOf(of), ", ") }

// prefixed gives a text behind a word; "" if there is no text.
func prefixed(word, text string) string {
	if text == "" {
		return ""
	}
	return word + text
}

// counted writes a number of things.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return thousands(n) + " " + thing + "s"
}

// thousands writes a number below a million with a comma: 4,076.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}
