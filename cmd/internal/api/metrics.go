package api

import (
	"net/http"

	"github.com/prometheus/common/expfmt"
)

// metrics answers in the format that a Prometheus asks for. The text is not compressed: that takes longer than to make
// it.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) error {
	if s.Meter == nil {
		return errNoRoute
	}
	write, err := s.Meter.Read(r.Context())
	if err != nil {
		return err
	}
	format := expfmt.Negotiate(r.Header)
	w.Header().Set("Content-Type", string(format))
	if write(w, format) != nil {
		panic(http.ErrAbortHandler) // the client is gone, or must not take the text for complete
	}
	return nil
}
