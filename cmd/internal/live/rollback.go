package live

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"farmc/compiler"
	"farmc/compiler/ruleset"
)

// Rollback loads the previous farms, and holds the current source files until one changes. If a load is on trial,
// Rollback restores the farms before it. The error is ErrNoPrevious if there is nothing to restore.
func (e *Engine) Rollback(ctx context.Context) (Plan, error) {
	release, err := e.lock(ctx, func() { e.Log("waiting for another farmc to finish") })
	if err != nil {
		return Plan{}, err
	}
	defer release()
	e.Store.removePending()
	const why = "by farmc rollback"
	t, err := e.Store.Trial()
	if err != nil {
		return Plan{}, err
	}
	if t != nil {
		return e.rollBackTo(ctx, t.Base, t, why)
	}
	last, err := e.Store.Loaded()
	if err != nil {
		return Plan{}, err
	}
	previous, err := e.Store.previous()
	if err != nil || previous == "" || previous == last.Digest {
		return Plan{}, errors.Join(ErrNoPrevious, err)
	}
	return e.rollBackTo(ctx, previous, nil, why)
}

// previous returns the digest of the script before the last one, or "".
func (s Store) previous() (string, error) {
	text, err := os.ReadFile(filepath.Join(s.Dir, previousFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if m := digestLine.FindSubmatch(text); m != nil {
		return string(m[1]), err
	}
	return "", err
}

// rollBackTo loads the farms of the script with digest base, and holds the files that it replaces, with a reason. Each
// step can be repeated, so a farmc that is killed here does no harm.
func (e *Engine) rollBackTo(ctx context.Context, base string, t *Trial, why string) (Plan, error) {
	h := hold{Why: why}
	if t != nil {
		h.Sources = []string{t.Sources}
	} else {
		h.Sources = []string{e.compile().sources.Digest()}
	}
	p, err := e.planRollback(ctx, base)
	if err != nil {
		return p, err
	}
	p.keepPrevious = true
	diagnostics, err := e.load(ctx, &p)
	switch {
	case err != nil && len(diagnostics) > 0:
		return p, errors.Join(err, errors.New(diagnostics[0].Message))
	case err != nil:
		return p, err
	}
	for _, warning := range diagnostics {
		e.Log("warning: %s", warning.Message)
	}
	if err := e.Store.writeJSON(heldFile, h); err != nil {
		return p, err
	}
	for _, name := range []string{previousFile, previousZip} { // a second rollback would load the held files
		os.Remove(filepath.Join(e.Store.Dir, name))
	}
	return p, e.Store.writeJSON(trialFile, nil)
}

// planRollback plans the load of the recorded farms of the script with digest base. An empty base stands for no farms.
func (e *Engine) planRollback(ctx context.Context, base string) (Plan, error) {
	if base == "" {
		none := &SourceFiles{dirs: []sourceDir{{path: "no farms"}}, files: map[string]sourceFile{}}
		return e.plan(ctx, compileLocal(&compiler.Compiler{}, none, none.Dirs()), "")
	}
	for _, kept := range []struct{ script, sources string }{{loadedFile, sourcesFile}, {previousFile, previousZip}} {
		text, err := os.ReadFile(filepath.Join(e.Store.Dir, kept.script))
		m := digestLine.FindSubmatch(text)
		if err != nil || m == nil || string(m[1]) != base {
			continue
		}
		c := e.compileKept(kept.sources, base)
		if c == nil { // another version of farmc wrote the farms; nft still takes the script
			script := &ruleset.Script{Text: text, Digest: base}
			c = &compilation{script: script, sources: &SourceFiles{}, scriptOnly: true}
		}
		return e.plan(ctx, c, "")
	}
	return Plan{}, fmt.Errorf("%w: the script %.12s is not in %s", ErrNoPrevious, base, e.Store.Dir)
}
