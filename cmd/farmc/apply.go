package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"farmc/cmd/internal/live"
	"farmc/compiler/diag"
)

var applyVerb = verb{
	name:    "apply",
	summary: "check, load in one transaction, keep as last good",
	about: `Loads what the farms come to, all of it or nothing, and keeps the script in the state
directory: loaded.nft, and the one before as previous.nft. If the kernel holds it already,
nothing is done. Whatever fails, the rules that run stay as they are.

With --confirm it goes back by itself, with exit status 1, unless farmc confirm comes in time:
also if it is killed meanwhile, or its terminal or session ends. Until then neither apply nor
watch loads anything else. What was taken back is held until a file changes.`,
	flags: func(c *call) {
		c.set.DurationVar(&c.confirm, "confirm", 0, "go back after this `time` unless farmc confirm keeps it")
		c.isolateFlag()
	},
	run: func(ctx context.Context, c *call) int {
		switch {
		case c.set.Changed("confirm") && c.confirm < time.Second:
			return c.usageError("--confirm wants a time of a second at least, as in 60s")
		case c.confirm > 0:
			return c.applyOnTrial(ctx)
		}
		began := time.Now()
		p, diagnostics, err := c.engine().Apply(ctx)
		return c.finishApply(p, diagnostics, err, began)
	},
}

// applied tells what became of an apply.
func (c *call) finishApply(p live.Plan, diagnostics diag.Diagnostics, err error, began time.Time) int {
	status := exitOK
	if !c.reportApply(p, diagnostics, err) {
		status = exitFailure
	}
	for _, words := range p.Isolated {
		c.log("%s", words)
	}
	switch {
	case p.Restored:
		c.log("%s", restored(p))
	case status == exitOK || p.Isolated != nil:
		c.printChanges(p)
		c.log("%s", result(p, time.Since(began)))
	}
	return status
}

// isolateFlag declares --isolate, of apply and of watch.
func (c *call) isolateFlag() {
	c.set.BoolVar(&c.isolate, "isolate", false, "load the other farms where some are faulty, and keep these as they last were;\nthe exit status is 1 all the same")
}

// changes lists what changes, as much as a screen holds.
func (c *call) printChanges(p live.Plan) {
	for _, change := range p.Changes[:min(len(p.Changes), maxListed)] {
		c.log("%s", change)
	}
	if more := len(p.Changes) - maxListed; more > 0 {
		c.log("and %d changes more; farmc diff tells all before", more)
	}
}

// mostTold is how many changes apply lists: a screen of them.
const maxListed = 40

// result says what became of a plan.
func result(p live.Plan, took time.Duration) string {
	n := farms(len(p.Script.Farms))
	switch {
	case p.UpToDate && len(p.Changes) > 0:
		return n + ", nothing to load: the rules stay the same"
	case p.UpToDate:
		return n + ", nothing to do: the kernel holds them"
	}
	why := ""
	if p.Reason != "" {
		why = p.Reason + ": "
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

// extent says how much of what ran before was kept.
func strategyWords(p live.Plan) string {
	switch {
	case p.Strategy == live.Incremental:
		return ", only what changed"
	case p.Strategy == live.KeepSets && p.KeptSets > 0:
		return ", all rules anew, what they remember of clients stays"
	case p.Strategy == live.KeepSets:
		return ", all rules anew"
	}
	return ""
}

// restored says why what was loaded last was loaded again, though the farms can't be loaded.
func restored(p live.Plan) string { return p.Reason + ": what was loaded last is loaded again" }

func farms(n int) string {
	if n == 1 {
		return "1 farm"
	}
	return fmt.Sprintf("%d farms", n)
}

// few joins changes into a line that fits a log.
func abbreviate(changes []string) string {
	const maxItems = 5
	if more := len(changes) - maxItems; more > 0 {
		return strings.Join(changes[:maxItems], "; ") + fmt.Sprintf("; and %d more", more)
	}
	return strings.Join(changes, "; ")
}
