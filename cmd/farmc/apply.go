package main

import (
	"context"
	"fmt"
	"time"

	"farmc/cmd/internal/live"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

var applyVerb = verb{
	name:    "apply",
	summary: "check, load in one transaction, keep as last good",
	about: `Compiles the farms, loads the script in one transaction, and keeps it in the state
directory as loaded.nft, and the script before it as previous.nft. If the kernel has the script
already, nothing is loaded. If anything fails, the running rules stay.

With --confirm the previous farms are restored, with exit status 1, unless farmc confirm runs
in time. That also happens if farmc is killed, or its terminal or session ends. Until then
apply and watch load nothing else. Farms that were rolled back are on hold until a file
changes.`,
	flags: func(c *call) {
		c.set.DurationVar(&c.confirm, "confirm", 0,
			"restore the previous farms after this `time`, unless farmc confirm runs")
		c.isolateFlag()
		c.withdrawDelayFlag()
		c.resolveFlag()
		c.set.StringVar(&c.trial, "trial", "", "`name` of the trial, from the process with its confirm timer")
		c.set.Lookup("trial").Hidden = true
	},
	run: func(ctx context.Context, c *call) int {
		if c.set.Changed("confirm") && c.confirm < time.Second {
			return c.usageError("--confirm needs a time of at least 1s, such as 60s")
		}
		e := c.engine()
		if err := c.keepHosts(ctx, e); err != nil {
			c.printError(err)
			return exitFailure
		}
		switch {
		case c.trial != "":
			return c.tryFor(ctx)
		case c.confirm > 0:
			return c.applyOnTrial(ctx)
		}
		began := time.Now()
		p, diagnostics, err := e.Apply(ctx)
		return c.finishApply(p, diagnostics, err, began)
	},
}

// finishApply prints the result of an apply, and returns the exit status.
func (c *call) finishApply(p live.Plan, diagnostics diag.Diagnostics, err error, began time.Time) int {
	status := exitOK
	if !c.reportApply(p, diagnostics, err) {
		status = exitFailure
	}
	for _, words := range append(p.Held, p.Isolated...) {
		c.log("%s", words)
	}
	switch {
	case p.Restored:
		c.log("%s", restored(p))
	case p.LoadedBefore != nil:
		age := time.Since(p.LoadedBefore.Time).Round(time.Second)
		c.log("%s, nothing to load: %s loaded them %s ago", farms(len(p.Script.Farms)), p.LoadedBefore.Cause, age)
	case status == exitOK || p.Isolated != nil || p.Held != nil:
		c.printChanges(p)
		c.log("%s", result(p, time.Since(began)))
	}
	return status
}

// isolateFlag declares the flag --isolate of apply and watch.
func (c *call) isolateFlag() {
	c.set.BoolVar(&c.isolate, "isolate", false,
		"if farms have faults, keep them as last loaded and load the others;\nthe exit status is still 1")
}

// printChanges prints up to maxListed changes.
func (c *call) printChanges(p live.Plan) {
	changes := farm.Together(p.Changes)
	for _, change := range changes[:min(len(changes), maxListed)] {
		c.log("%s", change)
	}
	if more := len(changes) - maxListed; more > 0 {
		c.log("and %d more changes; farmc diff lists all of them before apply", more)
	}
}

// maxListed is the number of changes or clients in a list: about a screen.
const maxListed = 40

// result describes a load in a line.
func result(p live.Plan, took time.Duration) string {
	n := farms(len(p.Script.Farms))
	switch {
	case p.UpToDate && len(p.Changes) > 0:
		return n + ", nothing to load: the rules stay the same"
	case p.UpToDate && len(p.Script.Farms) == 0:
		return "no farms, nothing to do"
	case p.UpToDate:
		return n + ", nothing to do: the kernel holds them"
	}
	why := ""
	for _, reason := range []string{p.Reason, p.Network} {
		if reason != "" {
			why += reason + ": "
		}
	}
	cut := ""
	switch {
	case p.CutConnections == 1:
		cut = ", 1 connection cut"
	case p.CutConnections > 1:
		cut = fmt.Sprintf(", %d connections cut", p.CutConnections)
	}
	return fmt.Sprintf("%s%s loaded in %s%s%s", why, n, took.Round(time.Millisecond), strategyWords(p), cut)
}

// strategyWords describes the strategy of a load.
func strategyWords(p live.Plan) string {
	switch {
	case p.Strategy == live.Incremental:
		return ", only the changes"
	case p.Strategy == live.KeepSets && p.KeptSets > 0:
		return ", all rules anew, remembered clients stay"
	case p.Strategy == live.KeepSets:
		return ", all rules anew"
	}
	return ""
}

// restored says why the last good rules were loaded instead of the farms.
func restored(p live.Plan) string { return p.Reason + ": the last good rules are loaded again" }

func farms(n int) string {
	if n == 1 {
		return "1 farm"
	}
	return fmt.Sprintf("%d farms", n)
}
