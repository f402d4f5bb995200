package web

import (
	"net/http"

	"farmc/cmd/internal/preflight"
)

// A doctorPage shows the findings about the machine.
type doctorPage struct {
	Findings []preflight.Finding
	More     int `json:"moreFindings"`
}

// doctor shows the findings about the machine.
func (s *Site) doctor(w http.ResponseWriter, v *visit) error {
	var p doctorPage
	if err := s.get(v, to("doctor"), &p); err != nil {
		return err
	}
	s.render(w, v, http.StatusOK, "doctor", view{Title: "Doctor", Nav: "doctor", Body: p})
	return nil
}
