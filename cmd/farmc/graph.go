package main

import (
	"bytes"
	"context"

	"farmc/cmd/internal/graph"
	"farmc/cmd/internal/live"
)

var graphVerb = verb{
	name:    "graph",
	args:    "FARM",
	summary: "draw a farm as a picture (SVG)",
	about: `Draws the farm in the files: interfaces, addresses, filters, the choice of a backend, the backends
with their shares of new clients and their states, and the way of the replies. Every browser shows
the picture, light or dark as the reader prefers:

    farmc graph web -o web.svg

Of more than 21 backends, 20 have a row of their own. Nothing is loaded, and the kernel is not asked.

Exit status: 0, or 1 if the farm has faults.`,
	flags: func(c *call) {
		c.set.StringVarP(&c.output, "output", "o", "", "write to this `file`, atomically, instead of standard output")
	},
	run: func(_ context.Context, c *call) int {
		if len(c.args) != 1 {
			return c.usageError("graph needs a farm, such as farmc graph web")
		}
		e := c.engine()
		r, diagnostics := e.ReadingOf(c.args[0])
		if r == nil {
			c.printError(live.UnknownFarm(c.args[0], e.FarmNames()))
			return exitFailure
		}
		var err error
		if diagnostics.Faulty() {
			err = live.ErrFaulty
		}
		if !c.report(nil, diagnostics, err) {
			return exitFailure
		}
		var picture bytes.Buffer
		if err = graph.SVG(&picture, graph.Of(r), graph.Options{Document: true}); err == nil {
			err = c.write(picture.Bytes())
		}
		if err != nil {
			c.printError(err)
			return exitFailure
		}
		return exitOK
	},
}
