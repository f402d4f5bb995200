package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/manage"
)

// A problem is an error for the client.
type problem struct {
	status  int
	message string           // "": the words of the status
	faults  []live.FarmFault // of the client's document or of the files; nil: none
}

func (p problem) Error() string {
	if p.message == "" {
		return http.StatusText(p.status)
	}
	return p.message
}

// document is the answer: each error has a sentence, and one about farms has all faults.
func (p problem) document() problemDocument {
	out := problemDocument{Error: p.Error(), Faults: p.faults}
	if len(p.faults) == 0 {
		return out
	}
	first := p.faults[0]
	words := first.Message
	if first.Key != "" {
		words = first.Key + ": " + words
	}
	if more := len(p.faults) - 1; more > 0 {
		words += fmt.Sprintf(" (%d more)", more)
	}
	switch {
	case p.message == justFaults:
		out.Error = words
	case !strings.Contains(out.Error, first.Message):
		out.Error += ": " + words
	}
	return out
}

// justFaults is the message of a problem that has nothing to say but its faults.
const justFaults = "faults"

// A problemDocument is the document of an error: a sentence, and the faults of farms.
type problemDocument struct {
	Error  string           `json:"error"`
	Faults []live.FarmFault `json:"faults,omitempty"`
}

var errNoRoute = problem{status: http.StatusNotFound, message: "there is no such resource"}

// notFound is the error for a farm, a backend or another thing that does not exist.
func notFound(what string) error {
	return problem{status: http.StatusNotFound, message: "there is no such " + what}
}

// problemOf returns the problem of an error of an operation.
func problemOf(err error) problem {
	var p problem
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &tooLarge):
		return problem{status: http.StatusRequestEntityTooLarge}
	case errors.Is(err, live.ErrNoFarm):
		return problem{status: http.StatusNotFound, message: live.ErrNoFarm.Error()}
	case errors.Is(err, live.ErrNoBackend):
		return problem{status: http.StatusNotFound, message: live.ErrNoBackend.Error()}
	case errors.Is(err, live.ErrUntracked), errors.Is(err, live.ErrOtherState), errors.Is(err, live.ErrNoWatcher),
		errors.Is(err, manage.ErrCheckers), errors.Is(err, live.ErrNoBans), errors.Is(err, live.ErrReadOnly),
		errors.Is(err, live.ErrNotLoaded), errors.Is(err, live.ErrNothingLoaded):
		return problem{status: http.StatusConflict, message: err.Error()}
	case errors.Is(err, live.ErrNoSnapshot), errors.Is(err, live.ErrBusy), errors.Is(err, context.Canceled):
		return problem{status: http.StatusServiceUnavailable, message: err.Error()}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return problem{status: http.StatusRequestTimeout}
	}
	return problem{status: http.StatusInternalServerError, message: err.Error()}
}

// refuse answers with an error.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	switch p.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	case http.StatusRequestEntityTooLarge, http.StatusRequestTimeout, http.StatusBadRequest:
		w.Header().Set("Connection", "close")
	case http.StatusInternalServerError:
		s.Log("API: %s %s: %v", r.Method, r.URL.Path, err)
	}
	if isNFTLB(r.URL.Path) {
		writeResponse(w, p.status, response{Response: p.response(), Faults: p.faults})
		return
	}
	writeJSON(w, p.status, p.document())
}

// response is the sentence of an error for a client of nftlb.
func (p problem) response() string {
	if p.status == http.StatusUnauthorized {
		return "unauthorized"
	}
	return p.document().Error
}

// writeJSON writes a document. Go's numbers, texts and tables all have a form in JSON, so it has no error but that the
// client is gone.
func writeJSON(w http.ResponseWriter, status int, document any) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(document); err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(text.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes())
}
