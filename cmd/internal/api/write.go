package api

import (
	"context"
	"errors"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/manage"
)

// A Writer changes files of farms and loads them. The change is in force, or the result has an error.
type Writer interface {
	Write(ctx context.Context, by string, w live.Write) live.WriteResult
	Ban(ctx context.Context, by string, q live.BanRequest) (live.BanResult, error)
	Unban(ctx context.Context, by string, q live.BanRequest) (was bool, err error)
	WriteAll(ctx context.Context, by string, writes []live.Write) []live.WriteResult // in one load
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
	_, answer, err := s.do(r, farm, change)
	if err == nil {
		writeJSON(w, status, answer)
	}
	return err
}

func newWriteAnswer(r live.WriteResult, farm string, dryRun bool, began time.Time) writeAnswer {
	return writeAnswer{Changes: r.ChangesOf(farm), Warnings: r.Warnings, Took: time.Since(began).Seconds(),
		DryRun: dryRun}
}

// do does a write to a farm, and returns the answer.
func (s *Server) do(r *http.Request, farm string, change live.Write) (live.WriteResult, writeAnswer, error) {
	began := time.Now()
	result, err := s.take(r, &change)
	if err != nil {
		return result, writeAnswer{}, err
	}
	if result.Err != nil {
		return result, writeAnswer{}, writeProblem(result, farm)
	}
	return result, newWriteAnswer(result, farm, change.DryRun, began), nil
}

// take does a write for the key of a request. The parameter dry-run changes nothing, and the header Prefer bounds the
// wait for the turn.
func (s *Server) take(r *http.Request, change *live.Write) (live.WriteResult, error) {
	var err error
	if change.DryRun, err = isDryRun(r); err != nil {
		return live.WriteResult{}, err
	}
	change.Patience = patience(r.Header)
	return s.Writer.Write(r.Context(), keyOf(r.Context()).Name, *change), nil
}

// maxPatience is the longest wait for a turn: the answer must be sent within answerTime.
const maxPatience = 30 * time.Second

// patience returns the wait that the header "Prefer: wait=SECONDS" asks for (RFC 7240); 0: the usual one. Preferences
// that are not understood have no effect.
func patience(h http.Header) time.Duration {
	for preference := range strings.SplitSeq(strings.Join(h.Values("Prefer"), ","), ",") {
		text, isWait := strings.CutPrefix(strings.TrimSpace(preference), "wait=")
		if seconds, err := strconv.ParseUint(text, 10, 16); isWait && err == nil {
			return min(time.Duration(seconds)*time.Second, maxPatience)
		}
	}
	return 0
}

// isDryRun reports whether a request asks for its reply alone. A parameter that is not one of others is an error, as a
// misspelt dry run would change something.
func isDryRun(r *http.Request, others ...string) (bool, error) {
	dry := false
	for name, values := range r.URL.Query() {
		if slices.Contains(others, name) {
			continue
		}
		if name != "dry-run" || len(values) != 1 || values[0] != "" {
			return false, malformed("a request that changes something has no parameter but ?dry-run")
		}
		dry = true
	}
	return dry, nil
}

// writeProblem returns the problem of a write to a farm. Errors of its own, such as a condition that fails, pass.
func writeProblem(r live.WriteResult, farm string) error {
	p := problem{status: writeStatus(r.Err), message: r.Err.Error()}
	if p.status == 0 {
		return r.Err
	}
	if len(r.Faults) > 0 {
		p.faults = unplaced(r, farm)
	}
	if p.status == http.StatusBadRequest && r.InConflict(farm) {
		p.status = http.StatusConflict
	}
	var faulty manage.Faulty
	if errors.As(r.Err, &faulty) {
		p.faults = documentFaults(faulty.Faults)
		for i := range p.faults {
			p.faults[i].Farm, p.faults[i].File = farm, faulty.File
		}
		if faulty.File != "" {
			p.status = http.StatusConflict
		}
	}
	return p
}

// writeStatus returns the status of an error of a write; 0 for errors of other kinds.
func writeStatus(err error) int {
	for _, known := range []struct {
		err    error
		status int
	}{
		{live.ErrFaulty, http.StatusBadRequest},
		{live.ErrRefused, http.StatusUnprocessableEntity},
		{live.ErrConflict, http.StatusConflict},
		{live.ErrOnTrial, http.StatusConflict},
		{live.ErrHeld, http.StatusConflict},
		{live.ErrUntrusted, http.StatusConflict},
		{live.ErrOwner, http.StatusConflict},
		{live.ErrDangling, http.StatusConflict},
		{live.ErrOtherFaults, http.StatusConflict},
		{live.ErrNotLoaded, http.StatusConflict},
		{live.ErrNotSaved, http.StatusInsufficientStorage},
		{live.ErrBusy, http.StatusServiceUnavailable},
		{os.ErrDeadlineExceeded, http.StatusServiceUnavailable},
	} {
		if errors.Is(err, known.err) {
			return known.status
		}
	}
	switch {
	case errors.As(err, new(manage.Blocked)):
		return http.StatusConflict
	case errors.As(err, new(manage.Missing)):
		return http.StatusNotFound
	case errors.As(err, new(manage.Faulty)):
		return http.StatusBadRequest
	}
	return 0
}

// unplaced returns the faults of a write. The places in the farm's own new text are left out: the client has not seen
// that text, and no file has it. Faults that the files have without the write keep their places.
func unplaced(r live.WriteResult, farm string) []live.FarmFault {
	own := ""
	if r.Reading != nil {
		own = r.Reading.Sources()[0]
	}
	out := slices.Clone(r.Faults)
	for i, f := range out {
		if f.File == own && f.Farm == farm && !slices.Contains(r.Standing, f) {
			out[i].File, out[i].Line, out[i].Column = "", 0, 0
		}
	}
	return out
}
