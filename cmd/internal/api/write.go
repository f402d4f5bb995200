package api

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"farmc/cmd/internal/live"
)

// A Writer changes files of farms and loads them. The change is in force, or the result has an error.
type Writer interface {
	Write(ctx context.Context, by string, w live.Write) live.WriteResult
}

// A writeAnswer is the reply to a write.
type writeAnswer struct {
	Changes  []string         `json:"changes"` // one sentence each; empty: the farm was so already
	Warnings []live.FarmFault `json:"warnings"`
	Took     float64          `json:"took"` // seconds
	DryRun   bool             `json:"dryRun,omitempty"`
}

// write does a write to a farm, and answers with the status, or with the error. The parameter dry-run changes nothing.
func (s *Server) write(w http.ResponseWriter, r *http.Request, status int, farm string, change live.Write) error {
	change.DryRun = r.URL.Query().Has("dry-run")
	began := time.Now()
	result := s.Writer.Write(r.Context(), keyOf(r.Context()).Name, change)
	if result.Err != nil {
		return writeProblem(result)
	}
	writeJSON(w, status, writeAnswer{Changes: result.ChangesOf(farm), Warnings: result.Warnings,
		Took: time.Since(began).Seconds(), DryRun: change.DryRun})
	return nil
}

// writeProblem returns the problem of a write. Errors of its own, such as a farm that does not exist, pass.
func writeProblem(r live.WriteResult) error {
	status := 0
	switch {
	case errors.Is(r.Err, live.ErrFaulty):
		status = http.StatusBadRequest
	case errors.Is(r.Err, live.ErrRefused):
		status = http.StatusUnprocessableEntity
	case errors.Is(r.Err, live.ErrConflict), errors.Is(r.Err, live.ErrOnTrial), errors.Is(r.Err, live.ErrHeld):
		status = http.StatusConflict
	case errors.Is(r.Err, live.ErrNotSaved):
		status = http.StatusInsufficientStorage
	case errors.Is(r.Err, os.ErrDeadlineExceeded):
		status = http.StatusServiceUnavailable
	default:
		return r.Err
	}
	p := problem{status: status, message: r.Err.Error()}
	if len(r.Faults) > 0 {
		p.faults = r.Faults
	}
	return p
}
