package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/statedir"
	"farmc/cmd/internal/unifieddiff"
	"farmc/compiler/farm"
)

// Exit statuses of diff, the same as in diff(1).
const (
	same    = 0
	differs = 1
	trouble = 2
)

var diffVerb = verb{
	name:    "diff",
	summary: "show what apply would change",
	about: `Prints the changes of the farms as sentences, then a unified diff from the script loaded last
to the new one. Also prints whether the files are on hold, or a load waits to be confirmed.
Exit status: 0 no change, 1 changes, 2 an error.`,
	flags: func(c *call) { c.resolveFlag() },
	run: func(ctx context.Context, c *call) int {
		e := c.engine()
		c.resolveHosts(ctx, e)
		p, diagnostics, err := e.Plan(ctx)
		c.printDiagnostics(diagnostics)
		switch {
		case errors.Is(err, live.ErrFaulty):
			c.log("%s", summary(diagnostics))
			return trouble
		case errors.As(err, new(*fs.PathError)), errors.Is(err, statedir.ErrState): // of the state directory
			c.printError(err)
			return trouble
		case err != nil:
			c.log("cannot read the rules in the kernel: %v", err)
		}
		if p.Blocked != nil {
			c.printError(p.Blocked)
		}
		return c.showPlan(p)
	},
}

func (c *call) showPlan(p live.Plan) int {
	for _, change := range farm.Together(p.Changes) {
		fmt.Fprintln(c.stdout, change)
	}
	if p.Network != "" {
		fmt.Fprintln(c.stdout, p.Network)
	}
	if p.Reason != "" {
		fmt.Fprintf(c.stdout, "%s: all rules are loaded anew\n", p.Reason)
	}
	before, after := string(p.Before.Script), string(p.Script.Text)
	paint := c.palette(c.stdout)
	err := unifieddiff.Write(c.stdout, before, after, "loaded", "farms", func(kind byte, text string) string {
		colour := map[byte]string{'-': paint.Fault, '+': paint.Added, '@': paint.Hint}[kind]
		return colour + text + plain(kind, paint.Reset)
	})
	if err != nil {
		c.printError(err)
		return trouble
	}
	switch {
	case before != after || p.Reason != "":
		return differs
	case len(p.Changes) > 0:
		fmt.Fprintln(c.stdout, "the script stays the same")
	}
	return same
}

// plain ends the colour of a line that has one.
func plain(kind byte, reset string) string {
	if kind == ' ' {
		return ""
	}
	return reset
}
