package web

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
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
}

// A reason is a reason why packets were held back, with their number.
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
	p := farmPage{Hours: times}
	name := v.PathValue("farm")
	if err := s.get(v, to("overview", name), &p.Farm); err != nil {
		return err
	}
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
	s.render(w, v, http.StatusOK, "farm", view{Title: p.Name, Nav: "farms", Live: true, Body: p})
	return nil
}
