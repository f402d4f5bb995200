package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"farmc/cmd/internal/live"
)

// An Applier loads the files as a whole, as the commands of these names do. By is the name of the key.
type Applier interface {
	Apply(ctx context.Context, by string, confirm time.Duration) live.WriteResult // confirm 0: nothing to confirm
	Confirm(ctx context.Context, by string) error
	Rollback(ctx context.Context, by string, steps int) live.WriteResult

	// The outcomes that these requests would have. Nothing changes.
	DryConfirm(ctx context.Context) error
	DryRollback(ctx context.Context, steps int) live.WriteResult
}

// Bounds of the time to confirm, as an answer must reach the client within it.
const (
	minConfirm = 5 * time.Second
	maxConfirm = 24 * time.Hour
)

// An applyAnswer is the reply to an apply or a rollback.
type applyAnswer struct {
	Changes  []string         `json:"changes"`
	Warnings []live.FarmFault `json:"warnings"`
	Took     float64          `json:"took"`
	Left     float64          `json:"left,omitempty"` // seconds to confirm; 0: nothing to confirm
	DryRun   bool             `json:"dryRun,omitempty"`
}

// apply loads the files. {"confirm": "60s"} loads them on trial.
func (s *Server) apply(w http.ResponseWriter, r *http.Request) error {
	document, err := s.readOptions(w, r, "confirm")
	if err != nil {
		return err
	}
	confirm := time.Duration(0)
	if value, has := document["confirm"]; has {
		text, _ := value.(string)
		if confirm, err = time.ParseDuration(text); err != nil || confirm < minConfirm || confirm > maxConfirm {
			return malformed(`confirm is a time from 5s to 24h, such as "60s"`)
		}
	}
	switch dry, err := isDryRun(r); {
	case err != nil:
		return err
	case dry:
		return s.dryApply(w, r)
	}
	began := time.Now()
	result := s.Applier.Apply(r.Context(), keyOf(r.Context()).Name, confirm)
	answer := applyAnswer{Took: time.Since(began).Seconds()}
	if result.OnTrial {
		answer.Left = (confirm - time.Since(began)).Seconds()
	}
	return answerApply(w, result, answer)
}

// dryApply answers with the changes that an apply would make.
func (s *Server) dryApply(w http.ResponseWriter, r *http.Request) error {
	began := time.Now()
	d, err := s.difference(r)
	switch {
	case err != nil:
		return err
	case d.Blocked != "":
		return problem{status: http.StatusConflict, message: d.Blocked}
	}
	writeJSON(w, http.StatusOK, applyAnswer{Changes: d.Changes, Warnings: []live.FarmFault{},
		Took: time.Since(began).Seconds(), DryRun: true})
	return nil
}

// confirm keeps the farms of a load on trial.
func (s *Server) confirm(w http.ResponseWriter, r *http.Request) error {
	dry, err := isDryRun(r)
	if err != nil {
		return err
	}
	if _, err := s.readOptions(w, r); err != nil {
		return err
	}
	if dry {
		err = s.Applier.DryConfirm(r.Context())
	} else {
		err = s.Applier.Confirm(r.Context(), keyOf(r.Context()).Name)
	}
	if errors.Is(err, live.ErrNoTrial) || errors.Is(err, live.ErrTooLate) || errors.Is(err, live.ErrTrialNotLoaded) {
		return problem{status: http.StatusConflict, message: err.Error()}
	}
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// rollback loads the farms as they were {"steps": N} loads ago; 1 without a document.
func (s *Server) rollback(w http.ResponseWriter, r *http.Request) error {
	dry, err := isDryRun(r)
	if err != nil {
		return err
	}
	document, err := s.readOptions(w, r, "steps")
	if err != nil {
		return err
	}
	steps := int64(1)
	if value, has := document["steps"]; has {
		number, isNumber := value.(int64)
		if steps = number; !isNumber || steps < 1 || steps > 1000 {
			return malformed("steps is a number of GET /v1/history, from 1 on")
		}
	}
	began := time.Now()
	result := live.WriteResult{}
	if dry {
		result = s.Applier.DryRollback(r.Context(), int(steps))
	} else {
		result = s.Applier.Rollback(r.Context(), keyOf(r.Context()).Name, int(steps))
	}
	if errors.Is(result.Err, live.ErrNoPrevious) {
		return problem{status: http.StatusConflict, message: result.Err.Error()}
	}
	return answerApply(w, result, applyAnswer{Took: time.Since(began).Seconds(), DryRun: dry})
}

// answerApply answers with the outcome of a load of all farms.
func answerApply(w http.ResponseWriter, result live.WriteResult, answer applyAnswer) error {
	if result.Err != nil {
		return applyProblem(result)
	}
	answer.Changes, answer.Warnings = append([]string{}, result.Changes...), result.Warnings
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// applyProblem returns the problem of a load of all farms. Faults are those of the files, so the client's request is in
// conflict with them.
func applyProblem(result live.WriteResult) error {
	status := writeStatus(result.Err)
	switch status {
	case 0:
		return result.Err
	case http.StatusBadRequest:
		status = http.StatusConflict
	}
	p := problem{status: status, message: result.Err.Error()}
	if len(result.Faults) > 0 {
		p.faults = result.Faults
	}
	return p
}

// readOptions reads the document of a request, which may be missing. It may have the known keys.
func (s *Server) readOptions(w http.ResponseWriter, r *http.Request, known ...string) (map[string]any, error) {
	document, release, err := s.readOptional(w, r)
	if err != nil {
		return nil, err
	}
	defer release()
	for key := range document {
		if len(known) == 0 || key != known[0] {
			return nil, malformed(fmt.Sprintf("the document has no key %q", key))
		}
	}
	return document, nil
}
