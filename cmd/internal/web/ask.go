package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"unicode/utf8"

	"farmc/cmd/internal/relay"
)

// A failure is an error that a page shows.
type failure struct {
	status  int
	message string
}

func (f failure) Error() string { return f.message }

// statusOf returns the status of an error.
func statusOf(err error) int {
	var f failure
	if errors.As(err, &f) {
		return f.status
	}
	return http.StatusServiceUnavailable
}

// maxAnswer is the size of the largest answer of the API that a page takes, in bytes.
const maxAnswer = 8 << 20

var errTooLong = failure{http.StatusInsufficientStorage, "the answer is too long for a page"}

// An answer takes an answer of the API.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
	isLong bool // a part is missing
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(text []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.body.Len()+len(text) > maxAnswer {
		a.isLong = true
		return 0, errTooLong
	}
	return a.body.Write(text)
}

// An apiPath is a path of the API, with names as they are, and parameters.
type apiPath struct {
	path  string
	query url.Values
}

// to joins the parts of a path of the API. A part that would be more than one part of a path names nothing.
func to(parts ...string) apiPath {
	path := "/v1"
	for _, part := range parts {
		path += "/" + part
	}
	return apiPath{path: path}
}

func (p apiPath) with(name, value string) apiPath {
	if p.query == nil {
		p.query = url.Values{}
	}
	if value != "" {
		p.query.Set(name, value)
	}
	return p
}

// flag adds a parameter without a value.
func (p apiPath) flag(name string) apiPath {
	p.query = url.Values{name: {""}}
	return p
}

// get reads a document of the API.
func (s *Site) get(v *visit, from apiPath, into any) error {
	return s.ask(v, "GET", from, nil, into)
}

// ask sends a request to the API with the key of the session, and decodes the answer. An error of the API is a failure.
func (s *Site) ask(v *visit, method string, to apiPath, body, into any) error {
	in := relay.Request{Method: method, Path: to.path, Query: to.query.Encode(), Key: v.session.key,
		Header: http.Header{}}
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		in.Header.Set("Content-Type", "application/json")
		in.Body, in.Size = text, len(text)
	}
	a, err := s.answer(v, in)
	if err != nil {
		return err
	}
	if into == nil || a.body.Len() == 0 {
		return nil
	}
	if err := json.Unmarshal(a.body.Bytes(), into); err != nil {
		return fmt.Errorf("%s: %w", to.path, err)
	}
	return nil
}

// text reads an answer that is no document.
func (s *Site) text(v *visit, from apiPath) ([]byte, error) {
	a, err := s.answer(v, relay.Request{Method: "GET", Path: from.path, Query: from.query.Encode(), Key: v.session.key,
		Header: http.Header{}})
	if err != nil {
		return nil, err
	}
	return a.body.Bytes(), nil
}

// answer sends a request to the API. A refusal is a failure.
func (s *Site) answer(v *visit, in relay.Request) (*answer, error) {
	if !utf8.ValidString(in.Path) { // a front cannot hand it over
		return nil, failure{http.StatusNotFound, "the name is not UTF-8"}
	}
	a := &answer{header: http.Header{}}
	err := s.api.Ask(v.Context(), a, in)
	switch {
	case a.isLong:
		return nil, errTooLong
	case err != nil:
		return nil, failure{http.StatusServiceUnavailable, err.Error()}
	case a.status >= 300:
		return nil, failureIn(a)
	}
	return a, nil
}

// failureIn returns the error in an answer.
func failureIn(a *answer) error {
	var document struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(a.body.Bytes(), &document) != nil || document.Error == "" {
		document.Error = http.StatusText(a.status)
	}
	return failure{a.status, document.Error}
}
