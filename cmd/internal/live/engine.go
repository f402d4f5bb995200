// Package live makes farms rules that run, one reload at a time: it asks nft, loads, and keeps what was loaded.
package live

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"farmc/cmd/internal/nft"
	"farmc/cmd/internal/preflight"
	"farmc/compiler"
	"farmc/compiler/diag"
)

// An Engine takes farms from directories to the kernel.
type Engine struct {
	Dirs  []compiler.Dir
	Nft   nft.Nft
	Store Store
	Log   func(format string, args ...any) // tells people what is going on, where it takes time

	Isolate  bool // load farms without fault, though others have some
	Insecure bool // farms that others may write to are loaded all the same, with a warning

	incremental compiler.Memory // of the farms as they were read last
	cached      *SourceFiles    // their files
	monitor     *Monitor        // or nil
}

// Forget has all files read again, also those that look as they did.
func (e *Engine) Forget() { e.cached = nil }

// Dir is a directory of farms as the compiler takes it.
func Dir(path string) compiler.Dir { return compiler.Dir{Path: path, FS: os.DirFS(path)} }

// ErrFaulty says that the farms have faults, or that nft refuses them: the diagnostics tell which.
var ErrFaulty = errors.New("nothing was loaded")

// ErrUnkept says that the kernel took the rules, and the state directory did not take the script.
var ErrUnkept = errors.New("the rules are loaded, but could not be kept as last good")

// Compile compiles the farms as they are now, for any machine.
func (e *Engine) Compile() (*compiler.Script, diag.Diagnostics) {
	script, _, diagnostics := e.compilePortable()
	return script, diagnostics
}

func (e *Engine) compilePortable() (*compiler.Script, *SourceFiles, diag.Diagnostics) {
	permissions := e.newPermissions()
	defer permissions.close()
	sources := &SourceFiles{}
	script, diagnostics := compiler.Compile(sources.cachedDirs(permissions.check(e.Dirs), nil, time.Now()))
	diagnostics = append(diagnostics, permissions.diagnostics()...)
	if diagnostics.Faulty() {
		script = nil
	}
	return script, sources, diagnostics
}

// CompileForBoot compiles the farms for a machine that has no network interface yet. That it leaves out what hangs on
// them isn't told: it is what was asked for.
func (e *Engine) CompileForBoot() (*compiler.Script, diag.Diagnostics) {
	script, sources, diagnostics := e.compilePortable()
	if script == nil {
		return nil, diagnostics
	}
	return (&compilation{script: script, sources: sources, incremental: &compiler.Memory{}}).boot(), diagnostics
}

// Check compiles the farms and asks nft for its opinion. Its complaints are told at the places of the farms that they
// speak of. The error is nft.ErrCannotAsk where nft could not be asked, and ErrFaulty where there are faults.
func (e *Engine) Check(ctx context.Context) (*compiler.Script, diag.Diagnostics, error) {
	c := e.compile()
	if c.diagnostics.Faulty() {
		return nil, c.diagnostics, ErrFaulty
	}
	script, asked := c.script, c.script
	if e.Nft.ChecksIsolated() { // in a namespace that has no interface
		asked = c.boot()
	}
	more, err := e.check(ctx, asked)
	if err != nil {
		script = asked // what the complaints are about
	}
	return script, append(c.diagnostics, more...), err
}

func (e *Engine) check(ctx context.Context, script *compiler.Script) (diag.Diagnostics, error) {
	err := e.slowly("nft checks the script", script, func() error { return e.Nft.Check(ctx, script.Text) })
	return explainRefusal(script, err)
}

// slowly says what is going on if it takes longer than a second.
func (e *Engine) slowly(what string, script *compiler.Script, do func() error) error {
	diagnostics := time.AfterFunc(time.Second, func() {
		e.Log("%s (%d lines) ...", what, strings.Count(string(script.Text), "\n"))
	})
	defer diagnostics.Stop()
	return do()
}

// A Plan is what Apply would do.
type Plan struct {
	Script         *compiler.Script
	Before         LastLoad
	Changes        []string // in words; empty if the farms say what they said
	UpToDate       bool     // the kernel holds the script already
	Reason         string   // what makes a load necessary though the farms are the same
	Strategy       Strategy // how it was loaded
	KeptSets       int      // how many sets that packets fill kept what they hold, where all rules were made anew
	CutConnections int      // how many tracked connections were cut, as they would have gone on to where they no longer may

	Blocked error // of a plan that is no more: why Apply would not load it now

	Restored bool // it is what was loaded last, as the farms can't be loaded
	OnTrial  bool // it waits to be confirmed

	Isolated []string // what of the faulty farms stays as it was, or is left out, in words; nil: nothing is loaded of any

	kernelDigest   string   // the digest of what the kernel holds
	mistrust       string   // what is known to be wrong with that all the same
	ingressDevices []string // the interfaces at whose ingress rules of ours hang

	keepPrevious bool // what was loaded before stays what it is: this one takes the place of one that was on trial
	unconfirmed  bool // it isn't for the next boot: that goes back
	*compilation
}

const (
	noRules    = "the kernel holds no farms"
	otherRules = "the kernel holds other farms than were loaded last"
)

// plan compares what the farms say with what was loaded, and with what the kernel holds. The doubt is what is known to
// be wrong with that, though its digest may be right.
func (e *Engine) plan(ctx context.Context, c *compilation, reason string) (Plan, error) {
	script := c.script
	p := Plan{Script: script, compilation: c, mistrust: reason}
	var err error
	if p.Before, err = e.Store.Loaded(); err != nil {
		return p, err
	}
	if !c.scriptOnly && (p.Before.Script == nil || p.Before.Farms != nil) {
		p.Changes = compiler.Changes(p.Before.Farms, compiler.FactsOf(script.Farms))
	}
	if p.kernelDigest, err = e.Nft.Loaded(ctx); err != nil {
		return p, err
	}
	if p.ingressDevices, err = e.Nft.IngressDevices(ctx); err != nil {
		return p, err
	}
	digest := p.kernelDigest
	whole := slices.Equal(p.ingressDevices, script.Ingress) && maps.Equal(p.Before.Interfaces, interfaceIndexes(script.Interfaces))
	p.UpToDate = digest == script.Digest && whole && reason == ""
	switch {
	case reason != "":
		p.Reason = reason
	case digest == script.Digest && !whole:
		p.Reason = "rules at ingress are gone, or their interface went and came back"
	case p.UpToDate || digest == p.Before.Digest:
	case digest == "" && p.Before.Script == nil: // the first load of all
	case digest == "":
		p.Reason = noRules
	case digest == p.Before.Boot:
		p.Reason = "the kernel holds what was loaded at boot, without what hangs on interfaces"
	default:
		p.Reason = otherRules
	}
	return p, nil
}

// Plan compiles the farms and says what Apply would do with them. Where the kernel can't be asked the plan holds what
// is known without it, and the error says why.
func (e *Engine) Plan(ctx context.Context) (Plan, diag.Diagnostics, error) {
	c := e.compile()
	if c.diagnostics.Faulty() {
		return Plan{compilation: c}, c.diagnostics, ErrFaulty
	}
	p, err := e.plan(ctx, c, "")
	barred, unknown := e.blocked(c)
	p.Blocked = barred
	return p, c.diagnostics, errors.Join(unknown, err)
}

// Apply compiles the farms, loads the script in one transaction and keeps it. If the kernel holds it already, nothing is
// done. Whatever fails, the rules that run and the last good script stay; if they don't run any more, the last good
// script is loaded.
func (e *Engine) Apply(ctx context.Context) (Plan, diag.Diagnostics, error) {
	return e.ApplyBecause(ctx, "")
}

// ApplyInDoubt is Apply where something is known to be wrong with the rules in the kernel: they are loaded anew.
func (e *Engine) ApplyBecause(ctx context.Context, reason string) (Plan, diag.Diagnostics, error) {
	return e.apply(ctx, reason, nil)
}

// Try is Apply of farms that are taken back unless they are confirmed in time: by Await, or by whoever comes next.
func (e *Engine) Try(ctx context.Context, try TrialRequest) (Plan, diag.Diagnostics, error) {
	return e.apply(ctx, "", &try)
}

func (e *Engine) apply(ctx context.Context, reason string, try *TrialRequest) (Plan, diag.Diagnostics, error) {
	release, err := e.lock(ctx, func() { e.Log("waiting for another farmc to finish") })
	if err != nil {
		return Plan{}, nil, err
	}
	defer release()
	e.Store.removePending()
	trial, err := e.revertOverdue(ctx)
	if err != nil {
		return Plan{}, nil, err
	}
	c := e.compile()
	if e.Insecure {
		c.diagnostics = append(c.diagnostics, e.checkStateDir()...)
	}
	diagnostics := c.diagnostics
	refusal := e.refusal(c, trial, try)
	if e.Isolate && refusal == ErrFaulty && !c.untrustedDir {
		if refusal = e.admit(c, trial, try); refusal == nil {
			return e.applyIsolated(ctx, c, reason, try, trial)
		}
	}
	if refusal != nil {
		p := Plan{compilation: c}
		more := e.fallBack(ctx, &p, reason)
		return p, append(diagnostics, more...), refusal
	}
	p, more, err := e.loadCompiled(ctx, c, reason, try, trial)
	if e.Isolate && errors.Is(err, ErrFaulty) {
		c.diagnostics, c.faults = append(diagnostics, more...), append(c.faults, more...)
		return e.applyIsolated(ctx, c, reason, try, trial)
	}
	if errors.Is(err, ErrFaulty) {
		more = append(more, e.fallBack(ctx, &p, reason)...)
	}
	return p, append(diagnostics, more...), err
}

// applyIsolated applies what has no fault. What nft has against a farm is a fault like any other.
func (e *Engine) applyIsolated(ctx context.Context, c *compilation, reason string, try *TrialRequest, trial *Trial) (Plan, diag.Diagnostics, error) {
	diagnostics, faults := c.diagnostics, c.faults
	for i := e.isolation(c); ; {
		mixed := i.repair(faults)
		if mixed == nil {
			p := Plan{compilation: c}
			return p, append(diagnostics, e.fallBack(ctx, &p, reason)...), ErrFaulty
		}
		mixed.addInterfaces(c)
		mixed.actual = c.sources
		p, more, err := e.loadCompiled(ctx, mixed, reason, try, trial)
		diagnostics = append(diagnostics, more...)
		if err == nil {
			p.Isolated = i.descriptions()
			return p, diagnostics, ErrFaulty
		}
		if !errors.Is(err, ErrFaulty) {
			return p, diagnostics, err
		}
		faults = more
	}
}

// realize has the kernel hold what was read, and the store keep it.
func (e *Engine) loadCompiled(ctx context.Context, c *compilation, reason string, try *TrialRequest, trial *Trial) (Plan, diag.Diagnostics, error) {
	p, err := e.plan(ctx, c, reason)
	if err != nil {
		return p, nil, err
	}
	diagnostics := preflight.LoadTranslators(ctx, c.script.Farms)
	if p.UpToDate && p.Before.Digest == c.script.Digest && p.Before.Farms != nil && len(p.Changes) == 0 {
		return p, append(diagnostics, preflight.Check(ctx, e.Nft, c.script.Farms)...), e.extendTrial(try, &p, trial)
	}
	p.keepPrevious = trial != nil
	undo := func() {}
	if try != nil && !p.UpToDate {
		if undo, err = e.beginTrial(*try, &p, trial); err != nil {
			return p, diagnostics, err
		}
		p.OnTrial, p.unconfirmed = true, true
	}
	more, err := e.load(ctx, &p)
	diagnostics = append(diagnostics, more...)
	if err != nil && !errors.Is(err, ErrUnkept) {
		undo()
	}
	if err != nil {
		return p, diagnostics, err
	}
	return p, append(diagnostics, preflight.Check(context.WithoutCancel(ctx), e.Nft, c.script.Farms)...), nil
}

// refuse says why the farms must not be loaded, if so.
func (e *Engine) refusal(c *compilation, trial *Trial, try *TrialRequest) error {
	if c.diagnostics.Faulty() {
		return ErrFaulty
	}
	return e.admit(c, trial, try)
}

// barred says why no farms at all may be loaded, or not these, whether they have faults or not. Where these may be,
// whichever were held may come again.
func (e *Engine) admit(c *compilation, trial *Trial, try *TrialRequest) error {
	if try != nil {
		return nil
	}
	if err := e.blockedBy(c, trial); err != nil {
		return err
	}
	return e.Store.releaseHold(c.sources.Digest())
}

// bars says what waits to be confirmed, or that the files are held.
func (e *Engine) blockedBy(c *compilation, trial *Trial) error {
	if trial != nil {
		return trial.pending()
	}
	why, err := e.Store.heldBecause(c.sources.Digest())
	if err != nil || why == "" {
		return err
	}
	if kept, err := e.Store.Loaded(); err == nil && c.script != nil && kept.Digest == c.script.Digest {
		return nil // as it was
	}
	return fmt.Errorf("%w (%s); farmc apply --confirm tries them once more", ErrHeld, why)
}

// standing says why Apply would load nothing now, and changes nothing itself.
func (e *Engine) blocked(c *compilation) (barred, err error) {
	trial, err := e.Store.Trial()
	if err != nil {
		return nil, err
	}
	why := e.blockedBy(c, trial)
	if why == nil || errors.Is(why, ErrHeld) || errors.Is(why, ErrOnTrial) {
		return why, nil
	}
	return nil, why
}

// extend gives a trial that is tried again all its time.
func (e *Engine) extendTrial(try *TrialRequest, p *Plan, trial *Trial) error {
	if try == nil || trial == nil {
		return nil
	}
	p.OnTrial = true
	_, err := e.beginTrial(*try, p, trial)
	return err
}

// fallBack keeps what was loaded last, where what was planned is refused.
func (e *Engine) fallBack(ctx context.Context, p *Plan, reason string) diag.Diagnostics {
	last, diagnostics, err := e.restore(ctx, reason)
	p.compilation.addInterfaces(last.compilation)
	p.Restored, p.Reason = last.Restored && err == nil, last.Reason
	if err != nil && ctx.Err() == nil {
		e.Log("what was loaded last can't be loaded again: %v", err)
	}
	return diagnostics
}

// load brings a plan's script into the kernel, and keeps it.
func (e *Engine) load(ctx context.Context, p *Plan) (diag.Diagnostics, error) {
	kept, err := e.Store.prepare(*p)
	if err != nil {
		return nil, err
	}
	var diagnostics diag.Diagnostics
	if !p.UpToDate {
		span := e.monitor.beforeLoad(ctx)
		if diagnostics, err = e.loadByStrategy(ctx, p); err != nil {
			e.monitor.loadFailed()
			e.Store.discard(kept)
			return diagnostics, err
		}
		ctx = context.WithoutCancel(ctx) // what the kernel took is brought to its end
		e.monitor.afterLoad(ctx, p.Script, span)
	}
	// before it is kept, so that a load that was stopped here does it again
	if !p.scriptOnly {
		var more diag.Diagnostics
		p.CutConnections, more = cutConnections(ctx, compiler.NewCuts(p.Before.Farms, p.Script.Farms))
		diagnostics = append(diagnostics, more...)
	}
	if err := e.Store.commit(*p, kept); err != nil {
		return diagnostics, fmt.Errorf("%w: %w", ErrUnkept, err)
	}
	e.monitor.stored()
	return diagnostics, nil
}
