package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"farmc/cmd/internal/live"
	"farmc/compiler/farm"
	"farmc/compiler/toml"
)

// backend returns the farm of a path, which has the backend of the path.
func (s *Server) backend(r *http.Request) (*farm.Farm, error) {
	now, err := s.current()
	if err != nil {
		return nil, err
	}
	return now.FarmWith(r.PathValue("farm"), r.PathValue("backend"))
}

// backendDocument returns the farm of a path, which has the backend of the path, and the document of the request. The
// returned function gives its memory back.
func (s *Server) backendDocument(w http.ResponseWriter, r *http.Request) (*farm.Farm, *keyReader, func(), error) {
	f, err := s.backend(r)
	if err != nil {
		return nil, nil, nil, err
	}
	document, release, err := s.readDocument(w, r)
	return f, &keyReader{document: document}, release, err
}

// A stateAnswer is the reply to a change of a state. Cut is the number of open connections that were cut.
type stateAnswer struct {
	writeAnswer
	Cut *int `json:"cut,omitempty"`
}

// putState does as farmc drain, down and up do.
func (s *Server) putState(w http.ResponseWriter, r *http.Request) error {
	f, document, release, err := s.backendDocument(w, r)
	if err != nil {
		return err
	}
	defer release()
	change, cut, err := stateChange(r, document)
	switch {
	case err != nil:
		return err
	case cut && !f.Tracked():
		return live.ErrUntracked
	}
	began := time.Now()
	write := change.Write()
	underConditions(r, &write)
	result, err := s.take(r, &write)
	if err != nil {
		return err
	}
	if result.Err = change.Explain(result); result.Err != nil {
		return writeProblem(result, f.Name)
	}
	answer := stateAnswer{writeAnswer: newWriteAnswer(result, f.Name, write.DryRun, began)}
	if words := result.StaysOut(change); words != "" {
		answer.Warnings = append(answer.Warnings, live.FarmFault{Farm: f.Name, Message: words,
			Key: "backends." + change.Backend + ".state"})
	}
	if cut && !write.DryRun {
		n, err := s.Farms.Cut(r.Context(), change.Farm, change.Backend)
		if err != nil {
			return err
		}
		answer.Cut = &n
	}
	answer.Took = time.Since(began).Seconds()
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// states are the values of state.
var states = []farm.State{farm.Up, farm.Drain, farm.Down}

// stateChange reads the document of putState.
func stateChange(r *http.Request, f *keyReader) (change live.StateChange, cut bool, err error) {
	change = live.StateChange{Farm: r.PathValue("farm"), Backend: r.PathValue("backend"),
		State: farm.State(f.text("state", maxWord)), For: f.duration("for", time.Second), Keep: f.flag("keep")}
	cut = f.flag("cut")
	switch {
	case !slices.Contains(states, change.State):
		f.fault("state", `state is "up", "drain" or "down"`)
	case change.State == farm.Up && (change.For > 0 || change.Keep || cut):
		f.fault("state", "for, keep and cut belong to drain and down")
	}
	return change, cut, f.err()
}

// maxWord is the longest word of a document, in bytes.
const maxWord = 64

// putWeight sets the weight of a backend; null ends that.
func (s *Server) putWeight(w http.ResponseWriter, r *http.Request) error {
	_, f, release, err := s.backendDocument(w, r)
	if err != nil {
		return err
	}
	defer release()
	change := live.WeightChange{Farm: r.PathValue("farm"), Backend: r.PathValue("backend"),
		For: f.duration("for", time.Second), Keep: f.flag("keep")}
	change.Weight, _ = f.number("weight", 1, maxWeight)
	switch {
	case !f.has("weight"):
		f.fault("weight", "weight is missing: a number, or null for that of the files")
	case change.Weight == 0 && (change.For > 0 || change.Keep):
		f.fault("weight", "for and keep need a weight")
	}
	if err := f.err(); err != nil {
		return err
	}
	write := change.Write()
	underConditions(r, &write)
	return s.write(w, r, http.StatusOK, change.Farm, write)
}

// maxWeight is the largest weight of a backend.
const maxWeight = 1000

// getState answers with the state of a backend. With wait=drained it answers when no connection is open.
func (s *Server) getState(w http.ResponseWriter, r *http.Request) error {
	if r.URL.Query().Has("wait") {
		return s.awaitDrained(w, r)
	}
	now, err := s.Farms.BackendNow(r.Context(), r.PathValue("farm"), r.PathValue("backend"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, now)
	return nil
}

// Bounds of the parameter timeout, and the time between two looks.
const (
	defaultWait = time.Minute
	maxWait     = 10 * time.Minute
	waitPause   = time.Second
)

// awaitDrained answers when no connection to a backend is open, or with 504 at the end of the timeout.
func (s *Server) awaitDrained(w http.ResponseWriter, r *http.Request) error {
	timeout, err := waitTimeout(r)
	if err != nil {
		return err
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(timeout + answerTime))
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	for {
		now, err := s.Farms.BackendNow(r.Context(), r.PathValue("farm"), r.PathValue("backend"))
		switch {
		case err != nil:
			return err
		case now.Open == nil:
			return live.ErrUntracked
		case now.State == farm.Up:
			return problem{status: http.StatusConflict, message: "the backend is up: drain it first"}
		case *now.Open == 0:
			writeJSON(w, http.StatusOK, now)
			return nil
		}
		select {
		case <-ctx.Done():
			return problem{status: http.StatusGatewayTimeout, message: fmt.Sprintf("open connections: %d", *now.Open)}
		case <-time.After(waitPause):
		}
		if _, ok := s.identify(r); !ok {
			return problem{status: http.StatusUnauthorized}
		}
	}
}

// await serves a request that waits. It gives the connection one of the slots of streams, in the process with the
// sockets, and the connection ends with the answer.
func (s *Server) await(w http.ResponseWriter, r *http.Request) {
	leave, ok := s.conns.beginStream(connOf(r.Context()))
	if !ok {
		s.refuse(w, r, problem{status: http.StatusServiceUnavailable, message: "too many requests wait"})
		return
	}
	defer leave()
	w.Header().Set("Connection", "close")
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ending, cancel)()
	s.mux.ServeHTTP(w, r.WithContext(ctx))
}

// waitTimeout reads the parameters of a wait.
func waitTimeout(r *http.Request) (time.Duration, error) {
	query := r.URL.Query()
	timeout, ok := defaultWait, true
	if query.Has("timeout") {
		timeout, ok = toml.ParseDuration(query.Get("timeout"))
	}
	switch {
	case query.Get("wait") != "drained":
		return 0, problem{status: http.StatusBadRequest, message: "wait takes drained"}
	case !ok || timeout > maxWait:
		return 0, problem{status: http.StatusBadRequest, message: "timeout is a time such as 60s, at most 10m"}
	}
	return timeout, nil
}
