package web

import "net/http"

// events answers with the events of the API. The stream ends with the session.
func (s *Site) events(w http.ResponseWriter, v *visit) error {
	s.api.Follow(w, v.Request, v.session.key, func() bool { return s.sessionOf(v.Request) == v.session })
	return nil
}
