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
	Say   func(format string, args ...any) // tells people what is going on, where it takes time

	Isolate  bool // load farms without fault, though others have some
	Insecure bool // farms that others may write to are loaded all the same, with a warning

	memory compiler.Memory // of the farms as they were read last
	seen   *Sources        // their files
	guard  *Guard          // or nil
}

// Forget has all files read again, also those that look as they did.
func (e *Engine) Forget() { e.seen = nil }

// Dir is a directory of farms as the compiler takes it.
func Dir(path string) compiler.Dir { return compiler.Dir{Path: path, FS: os.DirFS(path)} }

// ErrFaulty says that the farms have faults, or that nft refuses them: the diagnostics tell which.
var ErrFaulty = errors.New("nothing was loaded")

// ErrUnkept says that the kernel took the rules, and the state directory did not take the script.
var ErrUnkept = errors.New("the rules are loaded, but could not be kept as last good")

// Compile compiles the farms as they are now, for any machine.
func (e *Engine) Compile() (*compiler.Script, diag.Diagnostics) {
	script, _, told := e.compileAnywhere()
	return script, told
}

func (e *Engine) compileAnywhere() (*compiler.Script, *Sources, diag.Diagnostics) {
	permissions := e.newPermissions()
	defer permissions.close()
	sources := &Sources{}
	script, told := compiler.Compile(sources.record(permissions.check(e.Dirs), nil, time.Now()))
	told = append(told, permissions.told()...)
	if told.Faulty() {
		script = nil
	}
	return script, sources, told
}

// CompileForBoot compiles the farms for a machine that has no network interface yet. That it leaves out what hangs on
// them isn't told: it is what was asked for.
func (e *Engine) CompileForBoot() (*compiler.Script, diag.Diagnostics) {
	script, sources, told := e.compileAnywhere()
	if script == nil {
		return nil, told
	}
	return (&reading{script: script, sources: sources, memory: &compiler.Memory{}}).boot(), told
}

// Check compiles the farms and asks nft for its opinion. Its complaints are told at the places of the farms that they
// speak of. The error is nft.ErrCannotAsk where nft could not be asked, and ErrFaulty where there are faults.
func (e *Engine) Check(ctx context.Context) (*compiler.Script, diag.Diagnostics, error) {
	r := e.read()
	if r.told.Faulty() {
		return nil, r.told, ErrFaulty
	}
	script, asked := r.script, r.script
	if e.Nft.ChecksIsolated() { // in a namespace that has no interface
		asked = r.boot()
	}
	more, err := e.check(ctx, asked)
	if err != nil {
		script = asked // what the complaints are about
	}
	return script, append(r.told, more...), err
}

func (e *Engine) check(ctx context.Context, script *compiler.Script) (diag.Diagnostics, error) {
	err := e.slowly("nft checks the script", script, func() error { return e.Nft.Check(ctx, script.Text) })
	return explain(script, err)
}

// slowly says what is going on if it takes longer than a second.
func (e *Engine) slowly(what string, script *compiler.Script, do func() error) error {
	told := time.AfterFunc(time.Second, func() {
		e.Say("%s (%d lines) ...", what, strings.Count(string(script.Text), "\n"))
	})
	defer told.Stop()
	return do()
}

// A Plan is what Apply would do.
type Plan struct {
	Script  *compiler.Script
	Before  Kept
	Changes []string // in words; empty if the farms say what they said
	Held    bool     // the kernel holds the script already
	Why     string   // what makes a load necessary though the farms are the same
	Way     Way      // how it was loaded
	Kept    int      // how many sets that packets fill kept what they hold, where all rules were made anew
	Cut     int      // how many tracked connections were cut, as they would have gone on to where they no longer may

	Barred error // of a plan that is no more: why Apply would not load it now

	Restored bool // it is what was loaded last, as the farms can't be loaded
	Tried    bool // it waits to be confirmed

	Isolated []string // what of the faulty farms stays as it was, or is left out, in words; nil: nothing is loaded of any

	holds  string   // the digest of what the kernel holds
	doubt  string   // what is known to be wrong with that all the same
	hooked []string // the interfaces at whose ingress rules of ours hang

	quietly     bool // what was loaded before stays what it is: this one takes the place of one that was on trial
	unconfirmed bool // it isn't for the next boot: that goes back
	*reading
}

const (
	noFarms    = "the kernel holds no farms"
	otherFarms = "the kernel holds other farms than were loaded last"
)

// plan compares what the farms say with what was loaded, and with what the kernel holds. The doubt is what is known to
// be wrong with that, though its digest may be right.
func (e *Engine) plan(ctx context.Context, r *reading, doubt string) (Plan, error) {
	script := r.script
	p := Plan{Script: script, reading: r, doubt: doubt}
	var err error
	if p.Before, err = e.Store.Loaded(); err != nil {
		return p, err
	}
	if !r.raw && (p.Before.Script == nil || p.Before.Farms != nil) {
		p.Changes = compiler.Changes(p.Before.Farms, compiler.FactsOf(script.Farms))
	}
	if p.holds, err = e.Nft.Loaded(ctx); err != nil {
		return p, err
	}
	if p.hooked, err = e.Nft.IngressDevices(ctx); err != nil {
		return p, err
	}
	digest := p.holds
	whole := slices.Equal(p.hooked, script.Ingress) && maps.Equal(p.Before.Interfaces, numbers(script.Interfaces))
	p.Held = digest == script.Digest && whole && doubt == ""
	switch {
	case doubt != "":
		p.Why = doubt
	case digest == script.Digest && !whole:
		p.Why = "rules at ingress are gone, or their interface went and came back"
	case p.Held || digest == p.Before.Digest:
	case digest == "" && p.Before.Script == nil: // the first load of all
	case digest == "":
		p.Why = noFarms
	case digest == p.Before.Boot:
		p.Why = "the kernel holds what was loaded at boot, without what hangs on interfaces"
	default:
		p.Why = otherFarms
	}
	return p, nil
}

// Plan compiles the farms and says what Apply would do with them. Where the kernel can't be asked the plan holds what
// is known without it, and the error says why.
func (e *Engine) Plan(ctx context.Context) (Plan, diag.Diagnostics, error) {
	r := e.read()
	if r.told.Faulty() {
		return Plan{reading: r}, r.told, ErrFaulty
	}
	p, err := e.plan(ctx, r, "")
	barred, unknown := e.standing(r)
	p.Barred = barred
	return p, r.told, errors.Join(unknown, err)
}

// Apply compiles the farms, loads the script in one transaction and keeps it. If the kernel holds it already, nothing is
// done. Whatever fails, the rules that run and the last good script stay; if they don't run any more, the last good
// script is loaded.
func (e *Engine) Apply(ctx context.Context) (Plan, diag.Diagnostics, error) {
	return e.ApplyInDoubt(ctx, "")
}

// ApplyInDoubt is Apply where something is known to be wrong with the rules in the kernel: they are loaded anew.
func (e *Engine) ApplyInDoubt(ctx context.Context, doubt string) (Plan, diag.Diagnostics, error) {
	return e.apply(ctx, doubt, nil)
}

// Try is Apply of farms that are taken back unless they are confirmed in time: by Await, or by whoever comes next.
func (e *Engine) Try(ctx context.Context, try Try) (Plan, diag.Diagnostics, error) {
	return e.apply(ctx, "", &try)
}

func (e *Engine) apply(ctx context.Context, doubt string, try *Try) (Plan, diag.Diagnostics, error) {
	release, err := e.lock(ctx, func() { e.Say("waiting for another farmc to finish") })
	if err != nil {
		return Plan{}, nil, err
	}
	defer release()
	e.Store.forget()
	trial, err := e.overdue(ctx)
	if err != nil {
		return Plan{}, nil, err
	}
	r := e.read()
	if e.Insecure {
		r.told = append(r.told, e.distrustStore()...)
	}
	told := r.told
	refusal := e.refuse(r, trial, try)
	if e.Isolate && refusal == ErrFaulty && !r.barred {
		if refusal = e.barred(r, trial, try); refusal == nil {
			return e.applyIsolated(ctx, r, doubt, try, trial)
		}
	}
	if refusal != nil {
		p := Plan{reading: r}
		more := e.fallBack(ctx, &p, doubt)
		return p, append(told, more...), refusal
	}
	p, more, err := e.realize(ctx, r, doubt, try, trial)
	if e.Isolate && errors.Is(err, ErrFaulty) {
		r.told, r.faults = append(told, more...), append(r.faults, more...)
		return e.applyIsolated(ctx, r, doubt, try, trial)
	}
	if errors.Is(err, ErrFaulty) {
		more = append(more, e.fallBack(ctx, &p, doubt)...)
	}
	return p, append(told, more...), err
}

// applyIsolated applies what has no fault. What nft has against a farm is a fault like any other.
func (e *Engine) applyIsolated(ctx context.Context, r *reading, doubt string, try *Try, trial *Trial) (Plan, diag.Diagnostics, error) {
	told, faults := r.told, r.faults
	for i := e.isolation(r); ; {
		mixed := i.mend(faults)
		if mixed == nil {
			p := Plan{reading: r}
			return p, append(told, e.fallBack(ctx, &p, doubt)...), ErrFaulty
		}
		mixed.follow(r)
		mixed.instead = r.sources
		p, more, err := e.realize(ctx, mixed, doubt, try, trial)
		told = append(told, more...)
		if err == nil {
			p.Isolated = i.words()
			return p, told, ErrFaulty
		}
		if !errors.Is(err, ErrFaulty) {
			return p, told, err
		}
		faults = more
	}
}

// realize has the kernel hold what was read, and the store keep it.
func (e *Engine) realize(ctx context.Context, r *reading, doubt string, try *Try, trial *Trial) (Plan, diag.Diagnostics, error) {
	p, err := e.plan(ctx, r, doubt)
	if err != nil {
		return p, nil, err
	}
	told := preflight.LoadTranslators(ctx, r.script.Farms)
	if p.Held && p.Before.Digest == r.script.Digest && p.Before.Farms != nil && len(p.Changes) == 0 {
		return p, append(told, preflight.Check(ctx, e.Nft, r.script.Farms)...), e.extend(try, &p, trial)
	}
	p.quietly = trial != nil
	undo := func() {}
	if try != nil && !p.Held {
		if undo, err = e.begin(*try, &p, trial); err != nil {
			return p, told, err
		}
		p.Tried, p.unconfirmed = true, true
	}
	more, err := e.load(ctx, &p)
	told = append(told, more...)
	if err != nil && !errors.Is(err, ErrUnkept) {
		undo()
	}
	if err != nil {
		return p, told, err
	}
	return p, append(told, preflight.Check(context.WithoutCancel(ctx), e.Nft, r.script.Farms)...), nil
}

// refuse says why the farms must not be loaded, if so.
func (e *Engine) refuse(r *reading, trial *Trial, try *Try) error {
	if r.told.Faulty() {
		return ErrFaulty
	}
	return e.barred(r, trial, try)
}

// barred says why no farms at all may be loaded, or not these, whether they have faults or not. Where these may be,
// whichever were held may come again.
func (e *Engine) barred(r *reading, trial *Trial, try *Try) error {
	if try != nil {
		return nil
	}
	if err := e.bars(r, trial); err != nil {
		return err
	}
	return e.Store.letGo(r.sources.Digest())
}

// bars says what waits to be confirmed, or that the files are held.
func (e *Engine) bars(r *reading, trial *Trial) error {
	if trial != nil {
		return trial.waits()
	}
	why, err := e.Store.holding(r.sources.Digest())
	if err != nil || why == "" {
		return err
	}
	if kept, err := e.Store.Loaded(); err == nil && r.script != nil && kept.Digest == r.script.Digest {
		return nil // as it was
	}
	return fmt.Errorf("%w (%s); farmc apply --confirm tries them once more", ErrHeld, why)
}

// standing says why Apply would load nothing now, and changes nothing itself.
func (e *Engine) standing(r *reading) (barred, err error) {
	trial, err := e.Store.Trial()
	if err != nil {
		return nil, err
	}
	why := e.bars(r, trial)
	if why == nil || errors.Is(why, ErrHeld) || errors.Is(why, ErrOnTrial) {
		return why, nil
	}
	return nil, why
}

// extend gives a trial that is tried again all its time.
func (e *Engine) extend(try *Try, p *Plan, trial *Trial) error {
	if try == nil || trial == nil {
		return nil
	}
	p.Tried = true
	_, err := e.begin(*try, p, trial)
	return err
}

// fallBack keeps what was loaded last, where what was planned is refused.
func (e *Engine) fallBack(ctx context.Context, p *Plan, doubt string) diag.Diagnostics {
	last, told, err := e.restore(ctx, doubt)
	p.reading.follow(last.reading)
	p.Restored, p.Why = last.Restored && err == nil, last.Why
	if err != nil && ctx.Err() == nil {
		e.Say("what was loaded last can't be loaded again: %v", err)
	}
	return told
}

// load brings a plan's script into the kernel, and keeps it.
func (e *Engine) load(ctx context.Context, p *Plan) (diag.Diagnostics, error) {
	kept, err := e.Store.prepare(*p)
	if err != nil {
		return nil, err
	}
	var told diag.Diagnostics
	if !p.Held {
		span := e.guard.loading(ctx)
		if told, err = e.transact(ctx, p); err != nil {
			e.guard.failed()
			e.Store.discard(kept)
			return told, err
		}
		ctx = context.WithoutCancel(ctx) // what the kernel took is brought to its end
		e.guard.loaded(ctx, p.Script, span)
	}
	// before it is kept, so that a load that was stopped here does it again
	if !p.raw {
		var more diag.Diagnostics
		p.Cut, more = cut(ctx, compiler.NewCuts(p.Before.Farms, p.Script.Farms))
		told = append(told, more...)
	}
	if err := e.Store.commit(*p, kept); err != nil {
		return told, fmt.Errorf("%w: %w", ErrUnkept, err)
	}
	e.guard.kept()
	return told, nil
}
