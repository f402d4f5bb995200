package live

import (
	"context"
	"maps"
	"slices"
	"time"

	"farmc/cmd/internal/preflight"
	"farmc/compiler/farm"
	"farmc/compiler/ruleset"
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
	script, err := e.LoadedScript()
	if err != nil {
		return nil, err
	}
	return script.Farms, nil
}

// LoadedScript returns the script that was loaded last, with its farms.
func (e *Engine) LoadedScript() (*ruleset.Script, error) {
	defer e.exclusive()()
	_, c, err := e.lastLoaded()
	if err != nil {
		return nil, err
	}
	return c.script, nil
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

// look is Look. Loads do not wait for the search and the comparison, which take 0.4 s for 100,000 backends: only the
// record of the findings is made under the locks, if the farms are the ones in force then. If another look has changed
// the record meanwhile, this one may be older, and begins again.
func (e *Engine) look(ctx context.Context, farms []*farm.Farm, inForce func() bool) (l Look, err error) {
	for recorded := false; !recorded && err == nil; {
		before := e.lastLook()
		found := preflight.Find(ctx, farms, before.since()).Without(preflight.Notes)
		if ctx.Err() != nil {
			return Look{}, nil
		}
		l, recorded, err = e.record(ctx, e.compare(before, found), inForce)
	}
	return l, err
}

// A comparison is the findings of a look, and their changes since the look before.
type comparison struct {
	before lookRecord
	found  preflight.Findings
	digest string // of found
	Look
}

// compare compares findings with the ones that were reported.
func (e *Engine) compare(before lookRecord, found preflight.Findings) comparison {
	c := comparison{before: before, found: found, digest: digestOf(found)}
	if c.digest != before.Digest {
		c.Look = changesSince(e.reportedFindings(), found)
	}
	return c
}

// record records findings as reported, and tells the observer. It reports false if another look has changed the record
// since the look before.
func (e *Engine) record(ctx context.Context, c comparison, inForce func() bool) (l Look, recorded bool, err error) {
	release, err := e.lock(ctx, func() {})
	if err != nil {
		return Look{}, false, err
	}
	defer release()
	now := e.lastLook()
	switch {
	case now.Digest != c.before.Digest:
		return Look{}, false, nil
	case !inForce():
		return Look{}, true, nil
	}
	if sampled := now.sample(time.Now()); sampled || c.digest != now.Digest {
		now.Digest, now.Count = c.digest, len(c.found)
		e.keepLook(now, c.found)
	}
	if len(c.Appeared)+len(c.Ended) > 0 {
		e.observer().Looked(c.Look)
	}
	return c.Look, true, nil
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
