package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"farmc/cmd/internal/live"
	"farmc/compiler/farm"
)

var drainVerb = verb{
	name:    "drain",
	args:    "FARM BACKEND",
	summary: "give a backend no new clients; its connections go on",
	about: `Writes the drop-in FARM.toml.d/zz-farmc-BACKEND.toml into the last directory of farms (by default
/run/farmc/farms.d, until the next boot) and loads the farms. It overrides the other drop-ins.
farmc up ends the state.

--wait returns once no connection to the backend is open. Connections that have ended (TCP in
TIME_WAIT, for example) do not count. Modes dsr and stateless track no connections.`,
	flags: (*call).stateFlags,
	run: func(ctx context.Context, c *call) int {
		return c.changeState(ctx, farm.Drain)
	},
}

var downVerb = verb{
	name:    "down",
	args:    "FARM BACKEND",
	summary: "take a backend out, and cut its connections",
	about: `Writes the same drop-in as farmc drain, with the state down, and loads the farms. farmc up ends
the state.`,
	flags: (*call).stateFlags,
	run: func(ctx context.Context, c *call) int {
		return c.changeState(ctx, farm.Down)
	},
}

var upVerb = verb{
	name:    "up",
	args:    "FARM BACKEND",
	summary: "end farmc drain or farmc down",
	about: `Removes the drop-in of farmc drain or farmc down, and loads the farms. If another file sets the
state of the backend to drain or down, the backend keeps that state, and the exit status is 1.`,
	run: func(ctx context.Context, c *call) int {
		return c.changeState(ctx, farm.Up)
	},
}

// stateFlags declares the flags of drain and down.
func (c *call) stateFlags() {
	c.set.DurationVar(&c.limit, "for", 0, "end the state after this `time`; needs a running farmc watch")
	c.set.BoolVar(&c.wait, "wait", false, "return when no connection to the backend is open")
}

// changeState sets the state of the backend that the arguments name.
func (c *call) changeState(ctx context.Context, state farm.State) int {
	switch {
	case len(c.args) != 2:
		return c.usageError("%s needs a farm and a backend, such as farmc %[1]s web b1", c.verb.name)
	case c.set.Changed("for") && c.limit < time.Second:
		return c.usageError("--for needs a time of at least 1s, such as 30m")
	}
	began := time.Now()
	e := c.engine()
	change := live.StateChange{Farm: c.args[0], Backend: c.args[1], State: state, For: c.limit, Tracked: c.wait}
	p, diagnostics, err := e.SetState(ctx, change)
	switch {
	case errors.Is(err, live.ErrUntracked):
		return c.usageError("--wait is not possible: %v", err)
	case errors.Is(err, live.ErrNoWatcher):
		return c.usageError("--for is not possible: %v", err)
	case err != nil:
		c.report(p.Script, diagnostics, err)
		return exitFailure
	}
	c.printChanges(p)
	for _, words := range append(p.Held, p.Isolated...) {
		c.log("%s", words)
	}
	if words := p.StaysOut(change); words != "" {
		c.log("%s", words)
	}
	c.log("%s", result(p, time.Since(began)))
	if c.limit > 0 {
		c.log("farmc watch ends the state in %s", timeLeft(c.limit))
	}
	if c.wait {
		return c.awaitIdle(ctx, e, p)
	}
	return exitOK
}

// awaitIdle waits until the backend has no open connection. It logs their number when that changes, at most every ten
// seconds.
func (c *call) awaitIdle(ctx context.Context, e *live.Engine, p live.Plan) int {
	logged, last := time.Time{}, 0
	err := e.AwaitIdle(ctx, p, c.args[0], c.args[1], func(open int) {
		if open != last && open > 0 && time.Since(logged) > 10*time.Second {
			c.log("%s to backend %s: waiting until they end", connections(open), c.args[1])
			logged = time.Now()
		}
		last = open
	})
	switch {
	case err != nil && ctx.Err() != nil:
		c.log("stopped waiting: %s to backend %s, which keeps its state", connections(last), c.args[1])
		return exitFailure
	case err != nil:
		c.printError(fmt.Errorf("%w; %s to backend %s", err, connections(last), c.args[1]))
		return exitFailure
	}
	c.log("no connection to backend %s is open", c.args[1])
	return exitOK
}

func connections(open int) string {
	if open == 1 {
		return "1 open connection"
	}
	return fmt.Sprintf("%d open connections", open)
}
