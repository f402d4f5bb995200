package live

import (
	"context"
	"maps"
	"slices"
	"time"

	"farmc/cmd/internal/preflight"
	"farmc/cmd/internal/statedir"
	"farmc/compiler/farm"
)

// reportedFindings is the content of findings.json.
type reportedFindings struct {
	Reported map[string]reportedFinding `json:"reported"` // by identity
	Losses   [2]preflight.Losses        `json:"losses"`   // the last sample, and one at least a minute older
}

// A reportedFinding is a finding as it was printed.
type reportedFinding struct {
	Text string `json:"text"`
	Hint string `json:"hint"`
}

// Look is the change of the findings since the last look of any farmc.
type Look struct {
	Appeared preflight.Findings // new, or with another text or remedy
	Ended    []preflight.Ended
}

// Findings returns what keeps the farms from working on this machine now.
func (e *Engine) Findings(ctx context.Context, farms []*farm.Farm) preflight.Findings {
	return preflight.Find(ctx, farms, e.reportedFindings().since())
}

// LoadedFarms returns the farms that were loaded last.
func (e *Engine) LoadedFarms() ([]*farm.Farm, error) {
	defer e.exclusive()()
	_, c, err := e.lastLoaded()
	if err != nil {
		return nil, err
	}
	return c.script.Farms, nil
}

// Look looks for findings about the farms, and records them as reported. It holds the lock of the state directory.
func (e *Engine) Look(ctx context.Context, farms []*farm.Farm) (Look, error) {
	release, err := e.lock(ctx, func() {})
	if err != nil {
		return Look{}, err
	}
	defer release()
	return e.look(ctx, farms), nil
}

// look is Look under the lock. If the record cannot be written, the next look reports the same findings again.
func (e *Engine) look(ctx context.Context, farms []*farm.Farm) (l Look) {
	record := e.reportedFindings()
	found := preflight.Find(ctx, farms, record.since()).Without(preflight.Notes)
	if ctx.Err() != nil {
		return l
	}
	now := map[string]reportedFinding{}
	for _, f := range found {
		now[f.ID()] = reportedFinding{f.Text(), f.Hint()}
		if record.Reported[f.ID()] != now[f.ID()] {
			l.Appeared = append(l.Appeared, f)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(record.Reported)) {
		if _, holds := now[id]; !holds {
			l.Ended = append(l.Ended, preflight.Ended{Kind: preflight.KindOf(id), Text: record.Reported[id].Text})
		}
	}
	if len(l.Appeared)+len(l.Ended) > 0 {
		e.observer().Looked(l)
	}
	sampled := record.sample(time.Now())
	if sampled || !maps.Equal(now, record.Reported) {
		record.Reported = now
		e.Store.Note(statedir.FindingsFile, record)
	}
	return l
}

// since is the sample from which losses count.
func (r reportedFindings) since() preflight.Losses { return r.Losses[1] }

// sample takes a new sample of losses if the last one is a minute old. The older one becomes the start of the count.
func (r *reportedFindings) sample(now time.Time) bool {
	last := r.Losses[0]
	if !last.At.IsZero() && now.Sub(last.At) < time.Minute && now.After(last.At) {
		return false
	}
	next := preflight.SampleLosses(now)
	if last.At.IsZero() {
		last = next
	}
	r.Losses = [2]preflight.Losses{next, last}
	return !next.At.IsZero()
}

// reportedFindings returns the record of the last look.
func (e *Engine) reportedFindings() (r reportedFindings) {
	if !e.Store.Recall(statedir.FindingsFile, &r) {
		return reportedFindings{}
	}
	return r
}
