package web

import (
	"errors"
	"net/http"

	"farmc/cmd/internal/live"
)

// An explainPage tells the way of a packet through the rules.
type explainPage struct {
	Service, From, In string // as asked
	Asked             bool
	Error             string
	Picture           *picture // of the farm that takes the packet; nil: none
	live.Explanation
}

// explain shows the form, and the answer to it.
func (s *Site) explain(w http.ResponseWriter, v *visit) error {
	q := v.URL.Query()
	p := explainPage{Service: q.Get("service"), From: q.Get("from"), In: q.Get("in"), Asked: q.Get("service") != ""}
	status := http.StatusOK
	if p.Asked {
		err := s.get(v, to("explain").with("service", p.Service).with("from", p.From).with("in", p.In), &p.Explanation)
		var f failure
		switch {
		case errors.As(err, &f):
			p.Error, status = f.message, f.status
		case err != nil:
			return err
		case p.Found:
			p.Picture = s.pictureOf(v, p.Answer.Farm)
		}
	}
	s.render(w, v, status, "explain", view{Title: "Explain", Nav: "explain", Body: p})
	return nil
}
