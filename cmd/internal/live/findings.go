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

// Look looks for findings about the farms, and records them as reported.
func (e *Engine) Look(ctx context.Context, farms []*farm.Farm) (Look, error) {
	return e.look(ctx, farms, func() bool { return true })
}

// LookAfter is Look after an apply, if its script is in force. A look that fails, or is late, is no error of the apply:
// the next look reports the same findings.
func (e *Engine) LookAfter(ctx context.Context, p Plan) Look {
	if !p.InForce {
		return Look{}
	}
	l, err := e.look(ctx, p.Script.Farms, func() bool {
		last, err := e.Store.Loaded()
		return err == nil && last.Digest == p.Script.Digest
	})
	if err != nil {
		return Look{}
	}
	return l
}

// look is Look. Loads do not wait for the search, which takes 0.2 s for 100,000 backends: only the record of the
// findings is made under the locks, if the farms are the ones in force then. If another look has changed the record
// meanwhile, this one may be older, and begins again.
func (e *Engine) look(ctx context.Context, farms []*farm.Farm, inForce func() bool) (l Look, err error) {
	for recorded := false; !recorded && err == nil; {
		before := e.lastLook()
		found := preflight.Find(ctx, farms, before.since()).Without(preflight.Notes)
		if ctx.Err() != nil {
			return Look{}, nil
		}
		l, recorded, err = e.record(ctx, before, found, inForce)
	}
	return l, err
}

// record records findings as reported, and tells the observer. It reports false if another look has changed the record
// since the look before.
func (e *Engine) record(ctx context.Context, before lookRecord, found preflight.Findings, inForce func() bool) (l Look,
	recorded bool, err error) {
	release, err := e.lock(ctx, func() {})
	if err != nil {
		return Look{}, false, err
	}
	defer release()
	now := e.lastLook()
	if now.Digest != before.Digest {
		return Look{}, false, nil
	}
	if !inForce() {
		return Look{}, true, nil
	}
	if l = e.reportChanges(now, found, time.Now()); len(l.Appeared)+len(l.Ended) > 0 {
		e.observer().Looked(l)
	}
	return l, true, nil
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
