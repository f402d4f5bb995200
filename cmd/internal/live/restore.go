package live

import (
	"context"

	"farmc/cmd/internal/statedir"
	"farmc/compiler"
	"farmc/compiler/diag"
	"farmc/compiler/ruleset"
)

// restore loads the last good farms if the kernel does not have them and the current farms cannot be loaded: another
// program removed the rules, an interface appeared, or the machine booted. Rules of a farmc with another state
// directory stay.
func (e *Engine) restore(ctx context.Context, reason string) (Plan, diag.Diagnostics, error) {
	last, err := e.Store.Loaded()
	if err != nil || last.Script == nil {
		return Plan{}, nil, err
	}
	c := e.compileKept(last.Digest)
	if c == nil {
		return e.restoreScript(ctx, last, reason)
	}
	p, err := e.plan(ctx, c, reason)
	if err == nil && p.UpToDate { // no load of this process has kept them yet, after a restart
		e.keepServed(c.script.Farms)
	}
	if err != nil || p.UpToDate || !isOurs(p.kernelDigest, last) {
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

// isOurs reports whether the kernel has no rules of farmc, or rules of this state directory.
func isOurs(digest string, last statedir.LastLoad) bool {
	return digest == "" || digest == last.Digest || digest == last.Boot
}

// restoreScript loads the recorded script as it is. It serves if the farms of the script are unknown, or are faulty to
// this version of farmc.
func (e *Engine) restoreScript(
	ctx context.Context, last statedir.LastLoad, reason string,
) (Plan, diag.Diagnostics, error) {
	script := &ruleset.Script{Text: last.Script, Digest: last.Digest}
	p := Plan{Script: script, Before: last, Reason: reason}
	digest, err := e.Nft.Loaded(ctx)
	if err != nil || digest != "" && reason == "" {
		return p, nil, err
	}
	if p.Reason == "" {
		p.Reason = noRules
	}
	p.Restored = true
	window := e.monitor.beforeLoad(ctx)
	diagnostics, err := explainRefusal(script, e.Nft.Load(ctx, script.Text))
	e.monitor.afterLoad(context.WithoutCancel(ctx), script, window)
	return p, diagnostics, err
}

// compileKept compiles the recorded source files of the last load for the interfaces of this machine. It returns nil if
// they are not those of the script with this digest, or have faults.
func (e *Engine) compileKept(digest string) *compilation {
	sources := e.Store.SourcesOf(digest)
	if sources == nil {
		return nil
	}
	c := compileLocal(&compiler.Compiler{}, sources, sources.Dirs())
	if c.script == nil {
		return nil
	}
	return c
}
