package api

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync/atomic"

	"farmc/cmd/internal/edit"
	"farmc/cmd/internal/live"
)

// A bodyBudget counts the bytes of all bodies that are in memory.
type bodyBudget struct{ used atomic.Int64 }

// maxBodies is the number of bytes that all bodies together may have in memory.
const maxBodies = 4 * maxBody

// readDocument reads the JSON object that a request sends. The returned function gives its memory back.
func (s *Server) readDocument(w http.ResponseWriter, r *http.Request) (map[string]any, func(), error) {
	if !isJSON(r.Header) {
		return nil, nil, problem{status: http.StatusUnsupportedMediaType, message: "send JSON"}
	}
	text, release, err := s.readBody(w, r)
	if err != nil {
		return nil, nil, err
	}
	document, faults := edit.Decode(bytes.NewReader(text))
	if len(faults) > 0 {
		release()
		return nil, nil, problem{status: http.StatusBadRequest, message: justFaults, faults: documentFaults(faults)}
	}
	return document, release, nil
}

// readBody reads the body of a request. The returned function gives its memory back.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) ([]byte, func(), error) {
	most := int64(maxBody)
	if strings.HasPrefix(r.URL.Path, "/v1/lists/") {
		most = maxList
	}
	if r.ContentLength > most {
		return nil, nil, problem{status: http.StatusRequestEntityTooLarge}
	}
	return s.bodies.read(http.MaxBytesReader(w, r.Body, most))
}

// documentFaults returns the faults of a client's document. Their places are in the text that the client sent.
func documentFaults(faults []edit.Fault) []live.FarmFault {
	out := []live.FarmFault{}
	for _, f := range faults {
		out = append(out, live.FarmFault{Key: f.Key, Line: f.Line, Column: f.Column, Message: f.Message, Hint: f.Hint})
	}
	return out
}

// isJSON reports whether the type of the body says JSON, a form (which curl -d says) or nothing.
func isJSON(h http.Header) bool {
	types := h.Values("Content-Type")
	if len(types) == 0 || len(types) == 1 && types[0] == "" {
		return true
	}
	kind, _, err := mime.ParseMediaType(types[0])
	switch {
	case err != nil || len(types) > 1:
		return false
	case kind == "application/json", kind == "text/json", kind == "application/x-www-form-urlencoded":
		return true
	}
	return strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json")
}

// read reads a body. A slow client occupies only the memory of the bytes that it has sent.
func (b *bodyBudget) read(body io.Reader) (text []byte, release func(), err error) {
	var out bytes.Buffer
	taken := int64(0)
	release = func() { b.used.Add(-taken) }
	for piece := make([]byte, 32<<10); ; {
		n, err := body.Read(piece)
		out.Write(piece[:n])
		taken += int64(n)
		used := b.used.Add(int64(n))
		switch {
		case errors.Is(err, io.EOF):
			return out.Bytes(), release, nil
		case used > maxBodies:
			err = problem{status: http.StatusServiceUnavailable, message: "other requests occupy the memory"}
		}
		if err != nil {
			release()
			return nil, nil, bodyError(err)
		}
	}
}

// bodyError returns the problem of a body that cannot be read: too large, too slow, or malformed chunks.
func bodyError(err error) error {
	if p := problemOf(err); p.status != http.StatusInternalServerError {
		return p
	}
	return problem{status: http.StatusBadRequest, message: "the body is malformed"}
}
