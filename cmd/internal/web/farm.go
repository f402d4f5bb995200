package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"farmc/cmd/internal/overview"
)

// A farmPage shows a farm.
type farmPage struct {
	overview.Farm
	Changes  overview.Changes
	Document string // the keys, as JSON
	Reasons  []reason
	Hours    []choice
	Picture  *picture // nil: there is none
	Span     span
	Spans    []spanChoice
}

// Figures are the numbers of the farm, with the ones that are not known.
func (p farmPage) Figures() []figure {
	all := figuresOf(p.Row.Numbers, p.Span, p.NoBytes)
	serving := fmt.Sprintf("%d of %d", p.Row.Serving, p.Row.Backends)
	return append(all, figure{Kind: "serving", Title: "Serving", Label: "Backends that serve", Value: serving,
		Course: p.Span.of(p.Row.Trend, p.Row.History).Serving, Words: meanWords})
}

// Columns are the numbers of a backend that the table has columns for.
func (p farmPage) Columns(b overview.Backend) []figure { return backendFigures(b, p.Span, p.NoBytes) }

// Titles are the columns of numbers of backends.
func (p farmPage) Titles() []figure { return p.Columns(overview.Backend{}) }

// A reason is a reason why packets were held back, or would have been with another verdict, with their number.
type reason struct {
	Name    string
	Packets uint64
}

// A choice is an item of a select.
type choice struct{ Value, Words string }

// times are the times after which a state ends by itself.
var times = []choice{{"", "until it is ended"}, {"15m", "for 15 minutes"}, {"1h", "for 1 hour"}, {"8h", "for 8 hours"},
	{"24h", "for 24 hours"}}

// farm shows a farm with its backends.
func (s *Site) farm(w http.ResponseWriter, v *visit) error {
	name := v.PathValue("farm")
	p := farmPage{Hours: times, Span: spanOf(v.URL.Query())}
	if err := s.get(v, to("overview", name), &p.Farm); err != nil {
		return err
	}
	p.Spans = spanChoices(p.Span, p.Row.History.Seconds, func(of span) string {
		if of == lastHour {
			return "/ui/farms/" + url.PathEscape(name)
		}
		return "/ui/farms/" + url.PathEscape(name) + "?span=" + string(of)
	})
	if err := s.get(v, to("changes").with("farm", name), &p.Changes); err != nil {
		return err
	}
	var text bytes.Buffer
	if json.Indent(&text, p.Keys, "", "  ") == nil {
		p.Document = text.String()
	}
	p.Picture = s.pictureOf(v, name)
	for _, name := range slices.Sorted(maps.Keys(p.HeldBack)) {
		p.Reasons = append(p.Reasons, reason{name, p.HeldBack[name]})
	}
	for _, name := range slices.Sorted(maps.Keys(p.LetPass)) {
		p.Reasons = append(p.Reasons, reason{name + ", let pass", p.LetPass[name]})
	}
	s.render(w, v, http.StatusOK, "farm", view{Title: p.Name, Nav: "farms", Live: true, Body: p})
	return nil
}
