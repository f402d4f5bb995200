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
			return c.misuse("--confirm wants a time of a second at least, as in 60s")
		case c.confirm > 0:
			return c.try(ctx)
		}
		began := time.Now()
		p, told, err := c.engine().Apply(ctx)
		return c.applied(p, told, err, began)
	},
}

// applied tells what became of an apply.
func (c *call) applied(p live.Plan, told diag.Diagnostics, err error, began time.Time) int {
	status := done
	if !c.applyOutcome(p, told, err) {
		status = refused
	}
	for _, words := range p.Isolated {
		c.tell("%s", words)
	}
	switch {
	case p.Restored:
		c.tell("%s", restored(p))
	case status == done || p.Isolated != nil:
		c.changes(p)
		c.tell("%s", result(p, time.Since(began)))
	}
	return status
}

// isolateFlag declares --isolate, of apply and of watch.
func (c *call) isolateFlag() {
	c.set.BoolVar(&c.isolate, "isolate", false, "load the other farms where some are faulty, and keep these as they last were;\nthe exit status is 1 all the same")
}

// changes lists what changes, as much as a screen holds.
func (c *call) changes(p live.Plan) {
	for _, change := range p.Changes[:min(len(p.Changes), mostTold)] {
		c.tell("%s", change)
	}
	if more := len(p.Changes) - mostTold; more > 0 {
		c.tell("and %d changes more; farmc diff tells all before", more)
	}
}

// mostTold is how many changes apply lists: a screen of them.
const mostTold = 40

// result says what became of a plan.
func result(p live.Plan, took time.Duration) string {
	n := farms(len(p.Script.Farms))
	switch {
	case p.Held && len(p.Changes) > 0:
		return n + ", nothing to load: the rules stay the same"
	case p.Held:
		return n + ", nothing to do: the kernel holds them"
	}
	why := ""
	if p.Why != "" {
		why = p.Why + ": "
	}
	cut := ""
	switch {
	case p.Cut == 1:
		cut = ", 1 connection cut"
	case p.Cut > 1:
		cut = fmt.Sprintf(", %d connections cut", p.Cut)
	}
	return fmt.Sprintf("%s%s loaded in %s%s%s", why, n, took.Round(time.Millisecond), extent(p), cut)
}

// extent says how much of what ran before was kept.
func extent(p live.Plan) string {
	switch {
	case p.Way == live.Difference:
		return ", only what changed"
	case p.Way == live.Derived && p.Kept > 0:
		return ", all rules anew, what they remember of clients stays"
	case p.Way == live.Derived:
		return ", all rules anew"
	}
	return ""
}

// restored says why what was loaded last was loaded again, though the farms can't be loaded.
func restored(p live.Plan) string { return p.Why + ": what was loaded last is loaded again" }

func farms(n int) string {
	if n == 1 {
		return "1 farm"
	}
	return fmt.Sprintf("%d farms", n)
}

// few joins changes into a line that fits a log.
func few(changes []string) string {
	const most = 5
	if more := len(changes) - most; more > 0 {
		return strings.Join(changes[:most], "; ") + fmt.Sprintf("; and %d more", more)
	}
	return strings.Join(changes, "; ")
}
