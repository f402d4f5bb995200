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
func (e *Engine) restore(ctx context.Context, reason string) (Plan, diag.Diagnostics, error) {
	kept, err := e.Store.Loaded()
	if err != nil || kept.Script == nil {
		return Plan{}, nil, err
	}
	c := e.compileKept(sourcesFile, kept.Digest)
	if c == nil {
		return e.restoreScript(ctx, kept, reason)
	}
	p, err := e.plan(ctx, c, reason)
	if err != nil || p.UpToDate || !ofOurs(p.kernelDigest, kept) {
		return p, nil, err
	}
	t, err := e.Store.Trial()
	if err != nil {
		return p, nil, err
	}
	p.Restored, p.unconfirmed = true, t != nil
	diagnostics, err := e.load(ctx, &p)
	return p, diagnostics, err
}

func ofOurs(digest string, kept LastLoad) bool {
	return digest == "" || digest == kept.Digest || digest == kept.Boot
}

// restoreText restores the script as it is, where the farms that it came from are not known any more, or this farmc
// takes them for faulty.
func (e *Engine) restoreScript(ctx context.Context, kept LastLoad, reason string) (Plan, diag.Diagnostics, error) {
	script := &compiler.Script{Text: kept.Script, Digest: kept.Digest}
	p := Plan{Script: script, Before: kept, Reason: reason}
	digest, err := e.Nft.Loaded(ctx)
	if err != nil || digest != "" && reason == "" {
		return p, nil, err
	}
	if p.Reason == "" {
		p.Reason = noRules
	}
	p.Restored = true
	span := e.monitor.beforeLoad(ctx)
	diagnostics, err := explainRefusal(script, e.Nft.Load(ctx, script.Text))
	e.monitor.afterLoad(context.WithoutCancel(ctx), script, span)
	return p, diagnostics, err
}

// keptReading compiles sources that were kept with the script of this digest, for the interfaces that are there now; nil
// where that can't be done.
func (e *Engine) compileKept(name, digest string) *compilation {
	packed, err := os.ReadFile(filepath.Join(e.Store.Dir, name))
	if err != nil {
		return nil
	}
	sources, of, err := unpack(packed)
	if err != nil || of != digest {
		return nil
	}
	c := compileLocal(&compiler.Memory{}, sources, sources.Dirs())
	if c.script == nil {
		return nil
	}
	return c
}
