package api

import (
	"errors"
	"net/http"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/statedir"
)

// health answers that the process serves requests. It needs no key, so it tells nothing else.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	return nil
}

// status answers as farmc status --json does.
func (s *Server) status(w http.ResponseWriter, r *http.Request) error {
	status, err := s.Farms.Status(r.Context())
	if err != nil && !errors.Is(err, live.ErrNothingLoaded) {
		return err
	}
	writeJSON(w, http.StatusOK, status)
	return nil
}

// script answers with the script of the files, as farmc compile prints it for this machine.
func (s *Server) script(w http.ResponseWriter, r *http.Request) error {
	now, err := s.current()
	if err != nil {
		return err
	}
	script := now.Script()
	if script == nil {
		return faultyFiles(now)
	}
	if notModified(w, r, []byte(script.Digest)) {
		return nil
	}
	writeText(w, script.Text)
	return nil
}

// faultyFiles is the error for an answer that files with faults do not allow.
func faultyFiles(now *live.Snapshot) error {
	return problem{status: http.StatusConflict, message: "the files have faults", faults: now.AllFaults()}
}

func writeText(w http.ResponseWriter, text []byte) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(text)
}

func (s *Server) diff(w http.ResponseWriter, r *http.Request) error {
	d, err := s.difference(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, d)
	return nil
}

// difference returns the changes that an apply would make.
func (s *Server) difference(r *http.Request) (live.Difference, error) {
	d, err := s.Farms.Difference(r.Context())
	if errors.Is(err, live.ErrFaulty) {
		err = faultyFiles(s.Farms.Current())
	}
	return d, err
}

func (s *Server) history(w http.ResponseWriter, _ *http.Request) error {
	all, err := s.Farms.History()
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"loads": append([]statedir.HistoryEntry{}, all...)})
	return nil
}
