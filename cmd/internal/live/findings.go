package live

import (
	"context"
	"maps"
	"slices"
	"time"

	"farmc/cmd/internal/preflight"
	"farmc/compiler/farm"
)

// Look is the change of the findings since the last look of any farmc.
type Look struct {
	Appeared preflight.Findings // new, or with another text or remedy
	Ended    []preflight.Ended
}

// Findings returns what keeps the farms from working on this machine now.
func (e *Engine) Findings(ctx context.Context, farms []*farm.Farm) preflight.Findings {
	return preflight.Find(ctx, farms, e.lastLook().since())
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
	record := e.lastLook()
	found := preflight.Find(ctx, farms, record.since()).Without(preflight.Notes)
	if ctx.Err() != nil {
		return l
	}
	if l = e.reportChanges(record, found, time.Now()); len(l.Appeared)+len(l.Ended) > 0 {
		e.observer().Looked(l)
	}
	return l
}

// reportChanges compares findings with the ones that were reported, and records them as reported.
func (e *Engine) reportChanges(record lookRecord, found preflight.Findings, now time.Time) (l Look) {
	digest := digestOf(found)
	same := digest == record.Digest
	if !same {
		l = changesSince(e.reportedFindings(), found)
	}
	if sampled := record.sample(now); sampled || !same {
		record.Digest, record.Count = digest, len(found)
		e.keepLook(record, found)
	}
	return l
}

// changesSince compares findings with the ones that were reported, by identity.
func changesSince(reported map[string]reportedFinding, found preflight.Findings) (l Look) {
	for _, f := range found {
		now := reportedAs(f)
		if reported[now.ID] != now {
			l.Appeared = append(l.Appeared, f)
		}
		delete(reported, now.ID)
	}
	for _, id := range slices.Sorted(maps.Keys(reported)) {
		l.Ended = append(l.Ended, preflight.Ended{Kind: preflight.KindOf(id), Text: reported[id].Text})
	}
	return l
}
