// Package live applies farms to the kernel of this machine: it compiles them, loads the script with nft in one
// transaction, and records the load in the state directory. It also reports the state of loaded farms, restores rules
// that another program changed, and rolls back.
//
// The package knows compiler, nft, conntrack and the state directory. It does not know command lines, terminals or
// systemd: package farmc turns plans, diagnostics and errors into output. It writes no nft syntax of its own.
//
// Order of the files: engine.go (Engine, Apply, Plan) is the entry. Its inputs are compile.go, sources.go, filecache.go
// and permissions.go (read and compile the source files). Its outputs are load.go, counters.go, complaints.go and
// conntrack.go (load the script) and store.go (state directory). confirm.go, rollback.go, restore.go and isolate.go are
// variants of a load. tamper.go detects changes by other programs; status.go and ban.go serve the commands of the same
// names.
//
// Every method of Engine that loads rules holds the lock of the state directory, and so excludes other farmc processes.
// A process can be killed at any point: the order of the writes to the state directory keeps each intermediate state
// usable.
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

// An Engine applies the farms of directories to the kernel. Dirs, Nft, Store and Log must be set. An Engine is not safe
// for concurrent use, except for the channel of Changes.
type Engine struct {
	Dirs  []compiler.Dir
	Nft   nft.Nft
	Store Store
	Log   func(format string, args ...any) // progress and events, one line a call

	Isolate  bool // load the correct farms even if others have faults
	Insecure bool // warn, instead of refusing, if users other than root may write to farms or state

	incremental compiler.Memory // reuses farms of the last compilation that did not change
	cached      *SourceFiles    // source files of the last compilation; nil: none
	monitor     *Monitor        // nil: changes by other programs are not detected
}

// Forget empties the cache of source files. The next compilation reads every file.
func (e *Engine) Forget() { e.cached = nil }

// Dir returns the directory at path in the form that the compiler takes.
func Dir(path string) compiler.Dir { return compiler.Dir{Path: path, FS: os.DirFS(path)} }

// ErrFaulty reports faults in the farms, or a script that nft refuses. The diagnostics returned with it have the
// details.
var ErrFaulty = errors.New("nothing was loaded")

// ErrUnkept reports that the kernel took the rules, but the state directory could not be updated.
var ErrUnkept = errors.New("the rules are loaded, but could not be kept as last good")

// Compile compiles the farms for any machine, that is, as if all network interfaces exist. The script is nil if there
// are faults.
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

// CompileForBoot compiles the farms for a machine without network interfaces. Rules that need an interface are left out
// without a diagnostic.
func (e *Engine) CompileForBoot() (*compiler.Script, diag.Diagnostics) {
	script, sources, diagnostics := e.compilePortable()
	if script == nil {
		return nil, diagnostics
	}
	return (&compilation{script: script, sources: sources, incremental: &compiler.Memory{}}).boot(), diagnostics
}

// Check compiles the farms and has nft check the script. Complaints of nft become diagnostics at the places in the
// farms that caused them. The error is nft.ErrCannotAsk if nft cannot check scripts here, and ErrFaulty if there are
// faults.
func (e *Engine) Check(ctx context.Context) (*compiler.Script, diag.Diagnostics, error) {
	c := e.compile()
	if c.diagnostics.Faulty() {
		return nil, c.diagnostics, ErrFaulty
	}
	script, asked := c.script, c.script
	if e.Nft.ChecksIsolated() { // nft runs in a namespace without interfaces
		asked = c.boot()
	}
	more, err := e.check(ctx, asked)
	if err != nil {
		script = asked // complaints refer to its lines
	}
	return script, append(c.diagnostics, more...), err
}

func (e *Engine) check(ctx context.Context, script *compiler.Script) (diag.Diagnostics, error) {
	err := e.slowly("nft checks the script", script, func() error { return e.Nft.Check(ctx, script.Text) })
	return explainRefusal(script, err)
}

// slowly runs do, and logs the step if it takes longer than a second.
func (e *Engine) slowly(what string, script *compiler.Script, do func() error) error {
	timer := time.AfterFunc(time.Second, func() {
		e.Log("%s (%d lines) ...", what, strings.Count(string(script.Text), "\n"))
	})
	defer timer.Stop()
	return do()
}

// A Plan describes a load: before it from Plan, after it from Apply, Try and Rollback.
type Plan struct {
	Script         *compiler.Script
	Before         LastLoad
	Changes        []string // differences between the loaded farms and these, one sentence each
	UpToDate       bool     // the kernel has the script already
	Reason         string   // why a load is necessary even if the farms did not change; "": no such reason
	Strategy       Strategy // of the load that succeeded
	KeptSets       int      // sets filled by packets that kept their elements under strategy KeepSets
	CutConnections int      // open connections deleted because their backend no longer takes them

	Blocked error // why Apply would refuse to load now: ErrHeld or ErrOnTrial; set by Plan alone

	Restored bool // the last good script was loaded because the farms cannot be loaded
	OnTrial  bool // the load waits to be confirmed

	Isolated []string // one sentence for each faulty farm or list that is kept or left out; nil: not isolated

	kernelDigest   string   // digest in the kernel's ruleset; "": no rules of farmc
	mistrust       string   // why the kernel's ruleset is wrong even if kernelDigest is right; "": no doubt
	ingressDevices []string // interfaces that have ingress chains of farmc

	keepPrevious bool // previous.nft stays, because this load replaces a load on trial
	unconfirmed  bool // boot.nft stays: the next boot restores the farms before the trial
	*compilation
}

const (
	noRules    = "the kernel holds no farms"
	otherRules = "the kernel has a different ruleset than the last one loaded"
)

// plan compares the compilation with the last load and with the kernel. A reason forces a load even if the digest in
// the kernel is right.
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
		p.Reason = "rules at ingress are missing, or their interface was re-created"
	case p.UpToDate || digest == p.Before.Digest:
	case digest == "" && p.Before.Script == nil: // the first load
	case digest == "":
		p.Reason = noRules
	case digest == p.Before.Boot:
		p.Reason = "the kernel has the rules of the boot, without those of network interfaces"
	default:
		p.Reason = otherRules
	}
	return p, nil
}

// Plan compiles the farms and describes the load that Apply would do. It changes nothing. If the kernel cannot be
// queried, the plan has the fields known without it, and the error says why.
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

// Apply compiles the farms, loads the script in one transaction and records it in the state directory. If the kernel
// has the script already, Apply loads nothing. If any step fails, the running rules and the last good script stay; if
// the kernel has no rules then, Apply loads the last good script.
func (e *Engine) Apply(ctx context.Context) (Plan, diag.Diagnostics, error) {
	return e.ApplyBecause(ctx, "")
}

// ApplyBecause is Apply with a reason to load even if the kernel's ruleset looks right. An empty reason means none.
func (e *Engine) ApplyBecause(ctx context.Context, reason string) (Plan, diag.Diagnostics, error) {
	return e.apply(ctx, reason, nil)
}

// Try is Apply for a load that is rolled back unless it is confirmed within try.Timeout. Await rolls it back, or else
// the next call of Apply, Confirm or RevertOverdue.
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

// applyIsolated loads the correct farms and keeps the faulty ones as they were loaded last. A complaint of nft about a
// farm counts as a fault.
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

// loadCompiled loads the compilation and records it. A try that is not nil makes it a trial; trial is the pending one.
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

// refusal returns why the compilation must not be loaded: ErrFaulty, or an error of admit.
func (e *Engine) refusal(c *compilation, trial *Trial, try *TrialRequest) error {
	if c.diagnostics.Faulty() {
		return ErrFaulty
	}
	return e.admit(c, trial, try)
}

// admit returns why nothing may be loaded now, faults aside. If the files may be loaded, admit ends a hold of other
// files.
func (e *Engine) admit(c *compilation, trial *Trial, try *TrialRequest) error {
	if try != nil {
		return nil
	}
	if err := e.blockedBy(c, trial); err != nil {
		return err
	}
	return e.Store.releaseHold(c.sources.Digest())
}

// blockedBy returns the trial or the hold that keeps Apply from loading, or nil. A hold does not block the script that
// is loaded already.
func (e *Engine) blockedBy(c *compilation, trial *Trial) error {
	if trial != nil {
		return trial.pending()
	}
	why, err := e.Store.heldBecause(c.sources.Digest())
	if err != nil || why == "" {
		return err
	}
	if kept, err := e.Store.Loaded(); err == nil && c.script != nil && kept.Digest == c.script.Digest {
		return nil // already loaded
	}
	return fmt.Errorf("%w (%s); farmc apply --confirm tries them once more", ErrHeld, why)
}

// blocked returns ErrOnTrial or ErrHeld as reason if Apply would load nothing now. It changes nothing.
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

// extendTrial restarts the time of a trial that is applied again.
func (e *Engine) extendTrial(try *TrialRequest, p *Plan, trial *Trial) error {
	if try == nil || trial == nil {
		return nil
	}
	p.OnTrial = true
	_, err := e.beginTrial(*try, p, trial)
	return err
}

// fallBack restores the last good script after the planned one was refused.
func (e *Engine) fallBack(ctx context.Context, p *Plan, reason string) diag.Diagnostics {
	last, diagnostics, err := e.restore(ctx, reason)
	p.compilation.addInterfaces(last.compilation)
	p.Restored, p.Reason = last.Restored && err == nil, last.Reason
	if err != nil && ctx.Err() == nil {
		e.Log("cannot load the last good script again: %v", err)
	}
	return diagnostics
}

// load loads the plan's script into the kernel and records it in the state directory.
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
		ctx = context.WithoutCancel(ctx) // after the transaction the rest must complete
		e.monitor.afterLoad(ctx, p.Script, span)
	}
	// Before the commit, so that the load after an interruption here repeats it.
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
