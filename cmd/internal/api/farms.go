package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/manage"
	"farmc/compiler/farm"
)

// A farmDocument is a farm as GET /v1/farms/F gives it.
type farmDocument struct {
	Name      string           `json:"name"`
	Farm      json.RawMessage  `json:"farm"`      // the keys of the files; null: the file is not TOML
	Hosts     farm.Answers     `json:"hosts"`     // the addresses of hostnames, by the last good answers
	Sources   []string         `json:"sources"`   // the file, then the drop-ins
	Inherited []farm.Inherited `json:"inherited"` // the keys of Farm that come from _defaults.toml
	Loaded    bool             `json:"loaded"`    // the farm was loaded as the files describe it
	Faults    []live.FarmFault `json:"faults"`
}

// A farmAnswer is a farmDocument with its status; null if the farm was not loaded, or if the kernel is busy.
type farmAnswer struct {
	farmDocument
	Status *live.FarmStatus `json:"status"`
}

func newFarmDocument(s *live.Snapshot, r *farm.Reading) farmDocument {
	return farmDocument{Name: r.Name(), Farm: r.Document(), Hosts: r.Answers(), Sources: r.Sources(),
		Inherited: inherited(r), Loaded: s.Loaded(r.Name()), Faults: s.Faults(r.Name())}
}

// inherited returns the keys that a farm has from the defaults of its directory.
func inherited(r *farm.Reading) []farm.Inherited { return append([]farm.Inherited{}, r.Inherited()...) }

// current returns the current snapshot.
func (s *Server) current() (*live.Snapshot, error) {
	if now := s.Farms.Current(); now != nil {
		return now, nil
	}
	return nil, live.ErrNoSnapshot
}

// reading returns the farm that the path names.
func (s *Server) reading(r *http.Request) (*live.Snapshot, *farm.Reading, error) {
	now, err := s.current()
	if err != nil {
		return nil, nil, err
	}
	f, ok := now.Reading(r.PathValue("farm"))
	if !ok {
		return nil, nil, notFound("farm")
	}
	return now, f, nil
}

func (s *Server) getFarm(w http.ResponseWriter, r *http.Request) error {
	now, f, err := s.reading(r)
	if err != nil {
		return err
	}
	if notModified(w, r, manage.DocumentOf(f)) {
		return nil
	}
	status, err := s.statusOf(r, f.Name())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, farmAnswer{newFarmDocument(now, f), status})
	return nil
}

// kernelPatience is the longest wait for the numbers of the kernel, which a load of a long list occupies for seconds.
// The keys of a farm need none of them.
const kernelPatience = time.Second

// statusOf returns the status of a farm; nil if the farm was not loaded, or if the kernel is busy.
func (s *Server) statusOf(r *http.Request, name string) (*live.FarmStatus, error) {
	ctx, cancel := context.WithTimeout(r.Context(), kernelPatience)
	defer cancel()
	status, err := s.Farms.FarmStatus(ctx, name)
	isLate := ctx.Err() != nil && r.Context().Err() == nil
	if err != nil && isLate || errors.Is(err, live.ErrNothingLoaded) || errors.Is(err, live.ErrNoFarm) {
		return nil, nil
	}
	return &status, err
}

// A backendAnswer is a backend as GET /v1/farms/F/backends/B gives it.
type backendAnswer struct {
	Name    string              `json:"name"`
	Backend json.RawMessage     `json:"backend"`
	Status  *live.BackendStatus `json:"status"`
}

func (s *Server) getBackend(w http.ResponseWriter, r *http.Request) error {
	_, f, err := s.reading(r)
	if err != nil {
		return err
	}
	name := r.PathValue("backend")
	keys := manage.BackendOf(f.Document(), fileName(f, name))
	if keys == nil {
		return notFound("backend")
	}
	if notModified(w, r, keys) {
		return nil
	}
	status, err := s.statusOf(r, f.Name())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, backendAnswer{name, keys, backendStatus(status, name)})
	return nil
}

// fileName returns the name that a backend has in the files: an address of a hostname has the keys of its backend.
func fileName(f *farm.Reading, backend string) string {
	if f.Farm() == nil || len(f.Farm().Named(backend)) == 0 {
		return backend
	}
	return f.Farm().Named(backend)[0].FileName()
}

func backendStatus(f *live.FarmStatus, name string) *live.BackendStatus {
	if f == nil {
		return nil
	}
	i := slices.IndexFunc(f.Backends, func(b live.BackendStatus) bool { return b.Name == name })
	if i < 0 {
		return nil
	}
	return &f.Backends[i]
}

// etag is the strong validator of the keys of a farm or of a backend.
func etag(document []byte) string {
	sum := sha256.Sum256(document)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// notModified sets the ETag, and answers 304 if the client has the document.
func notModified(w http.ResponseWriter, r *http.Request, document []byte) bool {
	tag := etag(document)
	w.Header().Set("ETag", tag)
	for known := range strings.SplitSeq(strings.Join(r.Header.Values("If-None-Match"), ","), ",") {
		known = strings.TrimPrefix(strings.TrimSpace(known), "W/")
		if known == tag || known == "*" {
			w.WriteHeader(http.StatusNotModified)
			return true
		}
	}
	return false
}

func (s *Server) listFarms(w http.ResponseWriter, r *http.Request) error {
	now, err := s.current()
	if err != nil {
		return err
	}
	selected, err := selection(r)
	if err != nil {
		return err
	}
	if notModified(w, r, append(s.lists.digest(now), strings.Join(selected, ",")...)) {
		return nil
	}
	stream(w, `{"farms":`, len(now.Readings), func(i int) []byte { return selected.item(now, now.Readings[i]) })
	return nil
}

// A listDigest has the digest of all farms of a snapshot. Health checkers ask each second whether the list changed.
type listDigest struct {
	mu  sync.Mutex
	of  *live.Snapshot
	sum []byte
}

// digest returns the digest of a snapshot. It is computed once.
func (l *listDigest) digest(s *live.Snapshot) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of != s {
		sum := sha256.New()
		for _, f := range s.Readings {
			sum.Write(mustMarshal(newFarmDocument(s, f)))
		}
		l.of, l.sum = s, sum.Sum(nil)
	}
	return slices.Clone(l.sum)
}

// A columns is a selection of fields of the list of farms; nil: all.
type columns []string

// fields are the columns that are no keys of farms.
var fields = []string{"name", "farm", "hosts", "sources", "inherited", "loaded", "faults"}

// selection returns the columns of a request: fields, and keys of farms.
func selection(r *http.Request) (columns, error) {
	if !r.URL.Query().Has("select") {
		return nil, nil
	}
	out := columns{}
	known := append(slices.Clone(fields), farmKeys()...)
	for word := range strings.SplitSeq(strings.Join(r.URL.Query()["select"], ","), ",") {
		if !slices.Contains(known, word) {
			return nil, problem{status: http.StatusBadRequest,
				message: "select takes " + strings.Join(known, ", ") + ", with commas between them"}
		}
		if !slices.Contains(out, word) {
			out = append(out, word)
		}
	}
	return out, nil
}

// farmKeys returns the keys of the first level of a farm.
func farmKeys() (out []string) {
	for _, k := range farm.Keys() {
		if k.Table == "" {
			out = append(out, k.Name)
		}
	}
	return out
}

// item returns a farm of the list. Keys that the farm does not set are left out.
func (c columns) item(s *live.Snapshot, f *farm.Reading) []byte {
	if c == nil {
		return mustMarshal(newFarmDocument(s, f))
	}
	var keys map[string]json.RawMessage
	_ = json.Unmarshal(f.Document(), &keys) // nil for a file that is not TOML
	item := []byte{'{'}
	for _, column := range c {
		value := c.value(s, f, column, keys)
		if value == nil {
			continue
		}
		if len(item) > 1 {
			item = append(item, ',')
		}
		item = append(append(append(item, mustMarshal(column)...), ':'), value...)
	}
	return append(item, '}')
}

func (c columns) value(s *live.Snapshot, f *farm.Reading, column string, keys map[string]json.RawMessage) []byte {
	switch column {
	case "name":
		return mustMarshal(f.Name())
	case "farm":
		return mustMarshal(f.Document())
	case "hosts":
		return mustMarshal(f.Answers())
	case "sources":
		return mustMarshal(f.Sources())
	case "inherited":
		return mustMarshal(inherited(f))
	case "loaded":
		return mustMarshal(s.Loaded(f.Name()))
	case "faults":
		return mustMarshal(s.Faults(f.Name()))
	}
	return keys[column]
}

func mustMarshal(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // documents, texts, numbers and booleans have no error
	}
	return text
}
