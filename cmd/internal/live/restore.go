package live

import (
	"context"
	"os"
	"path/filepath"

	"farmc/compiler"
	"farmc/compiler/diag"
)

// restore sees to it that the kernel holds what was loaded last, where the farms as they are now can't be: somebody may
// have taken the rules away, an interface may have come, the machine may have been booted. Rules of a farmc that keeps
// its state elsewhere stay.
func (e *Engine) restore(ctx context.Context, doubt string) (Plan, diag.Diagnostics, error) {
	kept, err := e.Store.Loaded()
	if err != nil || kept.Script == nil {
		return Plan{}, nil, err
	}
	r := e.keptReading(sourcesFile, kept.Digest)
	if r == nil {
		return e.restoreText(ctx, kept, doubt)
	}
	p, err := e.plan(ctx, r, doubt)
	if err != nil || p.Held || !ofOurs(p.holds, kept) {
		return p, nil, err
	}
	t, err := e.Store.Trial()
	if err != nil {
		return p, nil, err
	}
	p.Restored, p.unconfirmed = true, t != nil
	told, err := e.load(ctx, &p)
	return p, told, err
}

func ofOurs(digest string, kept Kept) bool {
	return digest == "" || digest == kept.Digest || digest == kept.Boot
}

// restoreText restores the script as it is, where the farms that it came from are not known any more, or this farmc
// takes them for faulty.
func (e *Engine) restoreText(ctx context.Context, kept Kept, doubt string) (Plan, diag.Diagnostics, error) {
	script := &compiler.Script{Text: kept.Script, Digest: kept.Digest}
	p := Plan{Script: script, Before: kept, Why: doubt}
	digest, err := e.Nft.Loaded(ctx)
	if err != nil || digest != "" && doubt == "" {
		return p, nil, err
	}
	if p.Why == "" {
		p.Why = noFarms
	}
	p.Restored = true
	span := e.guard.loading(ctx)
	told, err := explain(script, e.Nft.Load(ctx, script.Text))
	e.guard.loaded(context.WithoutCancel(ctx), script, span)
	return p, told, err
}

// keptReading compiles sources that were kept with the script of this digest, for the interfaces that are there now; nil
// where that can't be done.
func (e *Engine) keptReading(name, digest string) *reading {
	packed, err := os.ReadFile(filepath.Join(e.Store.Dir, name))
	if err != nil {
		return nil
	}
	sources, of, err := unpack(packed)
	if err != nil || of != digest {
		return nil
	}
	r := compileHere(&compiler.Memory{}, sources, sources.Dirs())
	if r.script == nil {
		return nil
	}
	return r
}
