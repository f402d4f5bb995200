package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"farmc/cmd/internal/nft"
	"farmc/cmd/internal/statedir"
	"farmc/compiler/diag"
	"farmc/compiler/flows"
	"farmc/compiler/reload"
	"farmc/compiler/ruleset"
)

// A Strategy is a way to bring a script into the kernel. Each one is a single transaction.
type Strategy int

// Strategies, from the most to the least invasive.
const (
	Complete    Strategy = iota // all tables of farmc are replaced
	KeepSets                    // all rules are replaced; sets and maps that packets fill keep their elements
	Incremental                 // only differences to the script loaded last, which the kernel must have
)

// load loads the plan's script into the kernel and records it in the state directory.
func (e *Engine) load(ctx context.Context, p *Plan) (diag.Diagnostics, error) {
	p.Stages.Compile = p.took
	began := time.Now().Add(-p.took)
	diagnostics, err := e.loadAndKeep(ctx, p)
	e.observer().Loaded(LoadReport{Plan: *p, Cause: e.Cause, Err: err, Began: began})
	return diagnostics, err
}

func (e *Engine) loadAndKeep(ctx context.Context, p *Plan) (diag.Diagnostics, error) {
	saved := measure(&p.Stages.Save)
	files, err := e.Store.Prepare(p.record())
	saved()
	full := err
	if err != nil && (p.mustKeep || p.unconfirmed || !isFull(err)) {
		return nil, err
	}
	if err := p.files.prepare(p.Script.Digest); err != nil {
		if files != nil {
			e.Store.Discard(files)
		}
		return nil, err
	}
	var diagnostics diag.Diagnostics
	if !p.UpToDate {
		gone := e.withdrawGone(ctx, p)
		window := e.monitor.beforeLoad(ctx)
		loaded := measure(&p.Stages.Kernel)
		diagnostics, err = e.loadByStrategy(ctx, p)
		if loaded(); err != nil {
			e.monitor.loadFailed()
			e.announceAgain(gone)
			if files != nil {
				e.Store.Discard(files)
			}
			return diagnostics, err
		}
		ctx = context.WithoutCancel(ctx) // after the transaction the rest must complete
		diagnostics = append(diagnostics, p.zoneChanges()...)
		e.recordCounts(ctx, p)
		e.monitor.afterLoad(ctx, p.Script, window)
	}
	if !p.scriptOnly {
		e.keepServed(p.Script.Farms)
		e.announce(p.Script.Farms)
		diagnostics = append(diagnostics, e.warnUnwatched(p.Script.Farms)...)
	}
	// Before the commit, so that the load after an interruption here repeats it.
	if !p.scriptOnly {
		var more diag.Diagnostics
		cut := measure(&p.Stages.Connections)
		p.CutConnections, more = cutConnections(ctx, flows.NewStale(p.difference()))
		cut()
		diagnostics = append(diagnostics, more...)
	}
	if full != nil {
		const old = "loaded.nft stays the script of an older load, which the next boot loads"
		return diagnostics, fmt.Errorf("%w: %w; %s", ErrUnkept, full, old)
	}
	saved = measure(&p.Stages.Save)
	err = e.Store.Commit(files)
	if saved(); err != nil {
		return diagnostics, fmt.Errorf("%w: %w", ErrUnkept, err)
	}
	e.monitor.stored()
	if !p.scriptOnly && !p.mustKeep {
		if err := e.Store.RecordHistory(e.historyEntry(p), p.Before); err != nil {
			e.Log("warning: cannot keep the history of loads: %v", err)
		}
	}
	return diagnostics, nil
}

// isFull reports whether an error is a full file system or an exhausted quota. The farms are loaded nevertheless: a
// dead backend must be taken out even then.
func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// loadByStrategy loads the plan's script by the least invasive strategy that works. A transaction that nft refuses has
// changed nothing, so the next strategy follows; complaints refer to the complete script. There is no nft -c before: it
// costs as much as the load and finds no other errors.
func (e *Engine) loadByStrategy(ctx context.Context, p *Plan) (diag.Diagnostics, error) {
	if p.Strategy = Incremental; p.scriptOnly { // the other strategies need the farms
		p.Strategy = Complete
	}
	for ; p.Strategy > Complete; p.Strategy-- {
		r, err := e.reload(ctx, p)
		if err != nil {
			return nil, err
		}
		if r == nil {
			continue
		}
		script, err := e.reloadScript(ctx, p, r)
		if err != nil {
			return nil, err
		}
		err = e.slowly("nft loads the changes", script, func() error { return e.Nft.Load(ctx, script.Text) })
		if err == nil {
			p.KeptSets = r.Kept()
			return e.warnUnresized(ctx, r.Resized()), nil
		}
		if !errors.As(err, new(*nft.Refusal)) && !errors.As(err, new(*nft.Crash)) {
			return nil, err
		}
		p.noteFallback(script, err)
	}
	script := e.completeScript(ctx, p)
	err := e.slowly("nft loads the script", p.Script, func() error { return e.Nft.Load(ctx, script.Text) })
	return explainRefusal(p.Script, err)
}

// completeScript returns the plan's script with the counts of the rules loaded last, or without counts if there are
// none, or if they cannot be read.
func (e *Engine) completeScript(ctx context.Context, p *Plan) *ruleset.Script {
	p.uncounted = nil
	if p.table == 0 || p.scriptOnly || p.Before.Script == nil {
		return p.Script
	}
	r, err := reload.NewComplete(p.Before.Script, p.Script)
	if err != nil {
		return p.Script
	}
	script, err := e.reloadScript(ctx, p, r)
	if err != nil {
		return p.Script
	}
	return script
}

// noteFallback records why a strategy failed.
func (p *Plan) noteFallback(script *ruleset.Script, err error) {
	if diagnostics, _ := explainRefusal(script, err); len(diagnostics) > 0 {
		err = errors.New(diagnostics[0].Message)
	}
	p.Reason = fmt.Sprintf("the incremental update failed (%v)", err)
}

// reload returns the transaction of the plan's strategy, or nil if the kernel's ruleset does not allow that strategy.
func (e *Engine) reload(ctx context.Context, p *Plan) (*reload.Reload, error) {
	loaded, recreated := p.loaded(e.Store)
	if p.Strategy == Incremental && len(recreated) == 0 {
		return p.incrementalReload(loaded, nil, nil), nil
	}
	held, err := e.heldObjects(ctx)
	switch {
	case err != nil || len(held) == 0 || p.guarded && !slices.ContainsFunc(held, atIngress):
		return nil, err
	case p.Strategy == Incremental:
		return p.incrementalReload(loaded, recreated, held), nil
	}
	r, err := reload.NewFromHeld(held, p.Script, p.Before.Script)
	if err != nil { // the last script is of no use for the counts
		return reload.NewFromHeld(held, p.Script, nil)
	}
	return r, nil
}

func atIngress(o reload.HeldObject) bool { return o.Family == string(ruleset.Netdev) }

// incrementalReload returns the difference between the loaded script and the plan's. It is nil if loaded is nil or its
// text cannot be parsed; the latter becomes the plan's reason. The kernel's objects are needed only if interfaces were
// re-created.
func (p *Plan) incrementalReload(loaded []byte, recreated []string, held []reload.HeldObject) *reload.Reload {
	if loaded == nil {
		return nil
	}
	r, err := reload.NewAfterLoss(loaded, p.Script, recreated, held)
	if err != nil {
		p.Reason = err.Error()
		return nil
	}
	return r
}

// reloadScript reads the counters that a reload carries over, and returns its script.
func (e *Engine) reloadScript(ctx context.Context, p *Plan, r *reload.Reload) (*ruleset.Script, error) {
	counters, err := e.counters(ctx, r.Counted())
	if err != nil {
		return nil, err
	}
	p.uncounted = r.Uncounted(counters)
	return r.Script(counters), nil
}

// warnUnresized warns about sets with another size in the kernel than in the script. The kernel does not resize a set.
func (e *Engine) warnUnresized(ctx context.Context, resized []reload.ResizedSet) diag.Diagnostics {
	if len(resized) == 0 {
		return nil
	}
	sizes := map[reload.ResizedSet]bool{}
	objects, err := e.Nft.Objects(ctx)
	for _, o := range objects {
		sizes[reload.ResizedSet{Family: o.Family, Name: o.Name, Size: o.Size}] = true
	}
	var diagnostics diag.Diagnostics
	for _, r := range resized {
		if err == nil && !sizes[r] {
			diagnostics = append(diagnostics, diag.Diagnostic{
				Severity: diag.Warning,
				Message: fmt.Sprintf(
					"set %s holds clients, so it keeps its size; size %d takes effect after a full load",
					r.Name, r.Size),
				Hint: "farmc compile | nft -f - loads all rules anew, and forgets the clients",
			})
		}
	}
	return diagnostics
}

// loaded returns the script in the kernel if the store has it, and the interfaces re-created since. Otherwise script is
// nil.
func (p *Plan) loaded(store statedir.Store) (script []byte, recreated []string) {
	switch {
	case p.kernelDigest == "" || p.mistrust != "":
		return nil, nil
	case p.kernelDigest == p.Before.Digest:
		return p.Before.Script, p.recreated()
	case p.kernelDigest == p.Before.Boot:
		return store.Boot(p.kernelDigest), nil
	}
	return nil, nil
}

// recreated returns the interfaces that have another index than at the last load, or lack an ingress chain.
func (p *Plan) recreated() []string {
	var out []string
	for name, number := range interfaceIndexes(p.Script.Interfaces) {
		unhooked := slices.Contains(p.Script.Ingress, name) && !slices.Contains(p.ingressDevices, name)
		if p.Before.Interfaces[name] != number || unhooked {
			out = append(out, name)
		}
	}
	return out
}

// heldObjects returns the objects of farmc's tables in the kernel.
func (e *Engine) heldObjects(ctx context.Context) ([]reload.HeldObject, error) {
	objects, err := e.Nft.Objects(ctx)
	out := make([]reload.HeldObject, len(objects))
	for i, o := range objects {
		out[i] = reload.HeldObject{Family: o.Family, Kind: o.Kind, Name: o.Name, Hooked: o.Hooked,
			Keys: o.Keys, Values: o.Values,
			Dynamic: o.Flags&unix.NFT_SET_EVAL != 0, TimesOut: o.Flags&unix.NFT_SET_TIMEOUT != 0}
	}
	return out, err
}
