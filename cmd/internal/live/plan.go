package live

import (
	"context"
	"errors"
	"maps"
	"slices"

	"farmc/cmd/internal/statedir"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/reload"
	"farmc/compiler/ruleset"
)

// A Plan describes a load: before it from Plan, after it from Apply, Try and Rollback.
type Plan struct {
	Script         *ruleset.Script
	Before         statedir.LastLoad
	Changes        []string // differences between the loaded farms and these, one sentence each
	UpToDate       bool     // the kernel has the script already
	Reason         string   // why all rules are loaded even if the farms are the same, in the past tense; "": no reason
	Network        string   // changes of this machine's addresses and services since the last load; "": none
	Strategy       Strategy // of the load that succeeded
	KeptSets       int      // sets filled by packets that kept their elements under strategy KeepSets
	Stages         Stages   // of the load
	CutConnections int      // open connections deleted because their backend no longer takes them

	Blocked error // why Apply would refuse to load now: ErrHeld or ErrOnTrial; set by Plan alone

	InForce  bool // the kernel and the state directory have the script
	Restored bool // the last good script was loaded because the farms cannot be loaded
	OnTrial  bool // the load waits to be confirmed

	LoadedBefore *statedir.HistoryEntry // the load on trial, if another farmc had loaded it before Try; else nil

	Held     []string // one sentence for each farm or list on hold, if the others were loaded; nil: no hold
	Isolated []string // one sentence for each faulty farm or list that is kept or left out; nil: not isolated

	Look // findings about this machine since the last load

	byFarm map[string][]string // Changes of each farm; nil: not sorted out

	differs *farm.Difference // result of difference; nil: not compared

	kernelDigest   string   // digest in the kernel's ruleset; "": no rules of farmc
	mistrust       string   // why the kernel's ruleset is wrong even if kernelDigest is right; "": no doubt
	ingressDevices []string // interfaces that have ingress chains of farmc

	table     uint64             // handle of table inet farmc before the load; 0: none, or a guard of replies
	guarded   bool               // table inet farmc is a guard of replies
	uncounted []reload.Uncounted // counts of backends for which no element counts after the load

	keepPrevious bool        // previous.nft stays, because this load replaces a load on trial
	mustKeep     bool        // a full state directory stops the load
	files        *fileWrites // new source files, which are written before the load; nil: none
	unconfirmed  bool        // boot.nft stays: the next boot restores the farms before the trial
	*compilation
}

// Needs returns the plan with the compilation alone, for NetworkChanged and ServesMore. A whole plan keeps the script
// before it and all findings, too.
func (p Plan) Needs() Plan { return Plan{compilation: p.compilation} }

const (
	noRules    = "the rules were missing in the kernel"
	otherRules = "the kernel had a different ruleset than the last one loaded"

	unknownRules = "the kernel had farms that this state directory does not know, and they are replaced"
)

// plan compares the compilation with the last load and with the kernel. A reason forces a load even if the digest in
// the kernel is right.
func (e *Engine) plan(ctx context.Context, c *compilation, reason string) (Plan, error) {
	before, err := e.Store.Loaded()
	if err != nil {
		return Plan{Script: c.script, compilation: c, mistrust: reason}, err
	}
	return e.planAfter(ctx, before, c, reason)
}

// planAfter is plan with the record of the last load.
func (e *Engine) planAfter(ctx context.Context, before statedir.LastLoad, c *compilation, reason string) (Plan, error) {
	script := c.script
	p := Plan{Script: script, compilation: c, mistrust: reason, Before: before}
	var err error
	if !c.scriptOnly && (p.Before.Script == nil || p.Before.Farms != nil) {
		p.Changes = p.difference().Changes()
	}
	if p.kernelDigest, err = e.Nft.Loaded(ctx); err != nil {
		return p, err
	}
	if p.table, err = e.Nft.TableHandle(ctx); err != nil {
		return p, err
	}
	if p.guarded = e.isGuard(p.table); p.guarded {
		p.table = 0
	}
	if p.ingressDevices, err = e.Nft.IngressDevices(ctx); err != nil {
		return p, err
	}
	intact := p.interfacesIntact()
	p.UpToDate = p.kernelDigest == script.Digest && intact && reason == ""
	p.Reason = p.loadReason(intact)
	p.Network = p.networkChanges()
	return p, nil
}

// difference compares the farms of the last load with those of the script.
func (p *Plan) difference() *farm.Difference {
	if p.differs == nil {
		p.differs = farm.NewDifference(p.Before.Farms, p.Script.Farms)
	}
	return p.differs
}

// interfacesIntact reports whether the ingress chains exist, and no interface was re-created since the last load.
func (p *Plan) interfacesIntact() bool {
	return slices.Equal(p.ingressDevices, p.Script.Ingress) &&
		maps.Equal(p.Before.Interfaces, interfaceIndexes(p.Script.Interfaces))
}

// loadReason returns the Reason of the plan.
func (p *Plan) loadReason(interfacesIntact bool) string {
	digest := p.kernelDigest
	switch {
	case p.mistrust != "":
		return p.mistrust
	case digest == p.Script.Digest && !interfacesIntact:
		return "rules at ingress were missing, or their interface was re-created"
	case p.UpToDate || digest == p.Before.Digest:
		return ""
	case digest == "" && p.Before.Script == nil: // the first load
		return ""
	case digest == "":
		return noRules
	case p.Before.Script == nil:
		return unknownRules
	case digest == p.Before.Boot:
		return "the kernel had the rules of the boot, without interfaces and source addresses"
	}
	return otherRules
}

// networkChanges describes the changes of source addresses and served ports if the farms are the same.
func (p *Plan) networkChanges() string {
	if p.UpToDate || p.Before.Script == nil || len(p.Changes) > 0 || p.scriptOnly {
		return ""
	}
	return abbreviate(append(sourceChanges(p.Before.Routes, p.Script.Sources),
		portChanges(p.Before.Ports, p.Script.ServedPorts)...))
}

// Plan compiles the farms and describes the load that Apply would do. It changes nothing. If the kernel cannot be
// queried, the plan has the fields known without it, and the error says why.
func (e *Engine) Plan(ctx context.Context) (Plan, diag.Diagnostics, error) {
	defer e.exclusive()()
	c := e.compile()
	if c.diagnostics.Faulty() {
		return Plan{compilation: c}, c.diagnostics, ErrFaulty
	}
	p, err := e.plan(ctx, c, "")
	blocked, unknown := e.blocked(c)
	p.Blocked = blocked
	return p, slices.Concat(c.diagnostics, p.zoneChanges()), errors.Join(unknown, err)
}

// zoneChanges warns of interfaces in another zone than at the last load.
func (p *Plan) zoneChanges() diag.Diagnostics {
	if p.scriptOnly {
		return nil
	}
	return p.difference().ZoneChanges()
}

// blockedBy returns the trial or the hold that keeps Apply from loading, or nil. A hold does not block the farms that
// are loaded already.
func (e *Engine) blockedBy(c *compilation, trial *statedir.Trial) error {
	if trial != nil {
		return unconfirmed(trial)
	}
	held, err := e.heldBack(c)
	if err != nil || !held.blocks {
		return err
	}
	return held.err()
}

// blocked returns ErrOnTrial or ErrHeld as reason if Apply would load nothing now. It changes nothing.
func (e *Engine) blocked(c *compilation) (reason, err error) {
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
