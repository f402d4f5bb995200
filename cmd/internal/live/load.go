package live

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"farmc/cmd/internal/nft"
	"farmc/compiler"
	"farmc/compiler/diag"
)

// A Way is how a script comes into the kernel, always in one transaction.
type Strategy int

// The ways, from the one that keeps least of what runs to the one that keeps most.
const (
	Complete    Strategy = iota // everything anew
	KeepSets                    // what the kernel holds is looked at: all rules anew, what packets have filled stays
	Incremental                 // the kernel holds what was loaded last: only what changed
)

// transact loads the plan's script by the way that keeps most. What nft refuses has changed nothing, so then the next
// one is tried, and complaints are about the complete script. nft isn't asked to check any of it before: a check costs
// as much as the load, finds no more, and a load that is refused does no more than a check.
func (e *Engine) loadByStrategy(ctx context.Context, p *Plan) (diag.Diagnostics, error) {
	if p.Strategy = Incremental; p.scriptOnly { // nothing but its text is known
		p.Strategy = Complete
	}
	for ; p.Strategy > Complete; p.Strategy-- {
		reload, err := e.reload(ctx, p)
		if err != nil {
			return nil, err
		}
		if reload == nil {
			continue
		}
		script, err := e.reloadScript(ctx, reload)
		if err != nil {
			return nil, err
		}
		err = e.slowly("nft loads what changed", script, func() error { return e.Nft.Load(ctx, script.Text) })
		if err == nil {
			p.KeptSets = reload.Kept()
			return e.warnUnresized(ctx, reload.Resized()), nil
		}
		if !errors.As(err, new(*nft.Refusal)) && !errors.As(err, new(*nft.Crash)) {
			return nil, err
		}
		p.noteFallback(script, err)
	}
	err := e.slowly("nft loads the script", p.Script, func() error { return e.Nft.Load(ctx, p.Script.Text) })
	return explainRefusal(p.Script, err)
}

// detour says why a way was not to be gone.
func (p *Plan) noteFallback(reload *compiler.Script, err error) {
	if diagnostics, _ := explainRefusal(reload, err); len(diagnostics) > 0 {
		err = errors.New(diagnostics[0].Message)
	}
	p.Reason = fmt.Sprintf("what changed could not be loaded alone (%v)", err)
}

// reload finds what the plan's way comes to, or nil if it can't be gone from what the kernel holds.
func (e *Engine) reload(ctx context.Context, p *Plan) (*compiler.Reload, error) {
	loaded, renewed := p.loaded(e.Store)
	if p.Strategy == Incremental && len(renewed) == 0 {
		return p.incrementalReload(loaded, nil, nil), nil
	}
	held, err := e.heldObjects(ctx)
	switch {
	case err != nil || len(held) == 0:
		return nil, err
	case p.Strategy == Incremental:
		return p.incrementalReload(loaded, renewed, held), nil
	}
	return compiler.NewReloadFrom(held, p.Script)
}

// since finds what changed since a script was loaded.
func (p *Plan) incrementalReload(loaded []byte, renewed []string, held []compiler.Outlined) *compiler.Reload {
	if loaded == nil {
		return nil
	}
	reload, err := compiler.NewReloadAfterLoss(loaded, p.Script, renewed, held)
	if err != nil {
		p.Reason = err.Error()
		return nil
	}
	return reload
}

// reloadScript reads the counts that go over into a reload, and writes it.
func (e *Engine) reloadScript(ctx context.Context, reload *compiler.Reload) (*compiler.Script, error) {
	counts, err := e.counters(ctx, reload.Counted())
	if err != nil {
		return nil, err
	}
	return reload.Script(counts), nil
}

// tooSmall warns of sets that the kernel has not given the size they were to get.
func (e *Engine) warnUnresized(ctx context.Context, resized []compiler.Resized) diag.Diagnostics {
	if len(resized) == 0 {
		return nil
	}
	sizes := map[compiler.Resized]bool{}
	objects, err := e.Nft.Objects(ctx)
	for _, o := range objects {
		sizes[compiler.Resized{Family: o.Family, Name: o.Name, Size: o.Size}] = true
	}
	var diagnostics diag.Diagnostics
	for _, r := range resized {
		if err == nil && !sizes[r] {
			diagnostics = append(diagnostics, diag.Diagnostic{
				Severity: diag.Warning,
				Message:  fmt.Sprintf("the kernel leaves %s its size, as it remembers clients; %d takes effect when all is loaded anew", r.Name, r.Size),
				Hint:     "farmc compile | nft -f - does so, and forgets them",
			})
		}
	}
	return diagnostics
}

// loaded gives the script that the kernel holds, if it is one that was kept, and the interfaces that are no longer those
// that its rules know.
func (p *Plan) loaded(kept Store) (script []byte, renewed []string) {
	switch {
	case p.kernelDigest == "" || p.mistrust != "":
		return nil, nil
	case p.kernelDigest == p.Before.Digest:
		return p.Before.Script, p.recreated()
	case p.kernelDigest == p.Before.Boot:
		return kept.boot(p.kernelDigest), nil
	}
	return nil, nil
}

func (p *Plan) recreated() []string {
	var out []string
	for name, number := range interfaceIndexes(p.Script.Interfaces) {
		if p.Before.Interfaces[name] != number || slices.Contains(p.Script.Ingress, name) && !slices.Contains(p.ingressDevices, name) {
			out = append(out, name)
		}
	}
	return out
}

// outline gives what the kernel holds in our tables.
func (e *Engine) heldObjects(ctx context.Context) ([]compiler.Outlined, error) {
	objects, err := e.Nft.Objects(ctx)
	out := make([]compiler.Outlined, len(objects))
	for i, o := range objects {
		out[i] = compiler.Outlined{Family: o.Family, Kind: o.Kind, Name: o.Name, Hooked: o.Hooked, Keys: o.Keys, Values: o.Values,
			Dynamic: o.Flags&unix.NFT_SET_EVAL != 0, TimesOut: o.Flags&unix.NFT_SET_TIMEOUT != 0}
	}
	return out, err
}
