package api

import (
	"bytes"
	"net/http"

	"farmc/cmd/internal/graph"
)

// graph answers with the picture of a farm, as farmc graph draws it.
func (s *Server) graph(w http.ResponseWriter, r *http.Request) error {
	_, f, err := s.reading(r)
	if err != nil {
		return err
	}
	var picture bytes.Buffer
	if err := graph.SVG(&picture, graph.Of(f), graph.Options{Document: true}); err != nil {
		return err
	}
	w.Header().Set("Content-Type", svgType)
	_, _ = w.Write(picture.Bytes())
	return nil
}

// svgType is the type of pictures.
const svgType = "image/svg+xml"
