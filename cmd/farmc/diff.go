package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"farmc/cmd/internal/diff"
	"farmc/cmd/internal/live"
)

// The exit statuses of diff, as diff(1) has them.
const (
	same    = 0
	differs = 1
	trouble = 2
)

var diffVerb = verb{
	name:    "diff",
	summary: "show what apply would change",
	about: `Says in words what changes, then shows the script that was loaded last and the one that
would be loaded as a unified diff. That the files are held, as they were taken back, or that
something waits to be confirmed, is told, too. Exit status: 0 nothing changes, 1 something does,
2 trouble.`,
	run: func(ctx context.Context, c *call) int {
		p, diagnostics, err := c.engine().Plan(ctx)
		c.printDiagnostics(diagnostics)
		switch {
		case errors.Is(err, live.ErrFaulty):
			c.log("%s", summary(diagnostics))
			return trouble
		case errors.As(err, new(*fs.PathError)), errors.Is(err, live.ErrState): // what was loaded can't be read
			c.printError(err)
			return trouble
		case err != nil:
			c.log("the kernel could not be asked what it holds: %v", err)
		}
		if p.Blocked != nil {
			c.printError(p.Blocked)
		}
		return c.showPlan(p)
	},
}

func (c *call) showPlan(p live.Plan) int {
	for _, change := range p.Changes {
		fmt.Fprintln(c.stdout, change)
	}
	if p.Reason != "" {
		fmt.Fprintf(c.stdout, "%s: all is loaded anew\n", p.Reason)
	}
	before, after := string(p.Before.Script), string(p.Script.Text)
	paint := c.palette(c.stdout)
	err := diff.Unified(c.stdout, before, after, "loaded", "farms", func(mark byte, text string) string {
		return map[byte]string{'-': paint.Fault, '+': paint.Added, '@': paint.Hint}[mark] + text + plain(mark, paint.Reset)
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

// plain ends a colour, where there was one.
func plain(mark byte, reset string) string {
	if mark == ' ' {
		return ""
	}
	return reset
}
