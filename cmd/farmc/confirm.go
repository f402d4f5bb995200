package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/statedir"
)

var confirmVerb = verb{
	name:    "confirm",
	summary: "keep the farms that apply --confirm loaded",
	run: func(ctx context.Context, c *call) int {
		if err := c.engine().Confirm(ctx); err != nil {
			c.printError(err)
			return exitFailure
		}
		c.log("confirmed: the farms stay, also after a reboot")
		return exitOK
	},
}

var rollbackVerb = verb{
	name:    "rollback",
	args:    "[N]",
	summary: "load the previous farms",
	about: `Loads the farms as they were N loads ago (1 without N); farmc history has the numbers. States of
backends (drain, down), drop-ins that only set states, and bans stay as they are. If a load waits
to be confirmed, restores the farms before it at once. The files stay unchanged, but each farm
that differs is on hold: apply and watch do not load it until its own files change.`,
	run: func(ctx context.Context, c *call) int {
		steps, err := c.steps()
		if err != nil {
			return c.usageError("%v", err)
		}
		began := time.Now()
		p, err := c.engine().Rollback(ctx, steps)
		if err != nil {
			c.printError(err)
			return exitFailure
		}
		c.printChanges(p)
		c.log("rolled back: %s", result(p, time.Since(began)))
		c.log("each changed farm is on hold until its files change")
		return exitOK
	},
}

// steps returns the argument of rollback: the number of loads to go back.
func (c *call) steps() (int, error) {
	switch {
	case len(c.args) == 0:
		return 1, nil
	case len(c.args) > 1:
		return 0, errors.New("rollback takes one number of farmc history")
	}
	n, err := strconv.Atoi(c.args[0])
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q is not a number of farmc history from 1 on", c.args[0])
	}
	return n, nil
}

// applyOnTrial loads on trial, and waits for the outcome.
func (c *call) applyOnTrial(ctx context.Context, e *live.Engine) int {
	began := time.Now()
	w, err := c.startConfirmTimer(ctx)
	if err != nil {
		c.printError(err)
		return exitFailure
	}
	p, diagnostics, err := e.Try(ctx, live.TrialRequest{Name: w.trial, Timeout: c.confirm})
	w.begin()
	status := c.finishApply(p, diagnostics, err, began)
	if !p.OnTrial || err != nil && p.Isolated == nil {
		return status
	}
	w.log(c, c.confirm)
	return max(status, c.awaitTrial(ctx, w.trial, p.Script.Digest))
}

// awaitTrial waits for the end of a trial, and returns the exit status.
func (c *call) awaitTrial(ctx context.Context, name, digest string) int {
	store := c.engine().Store
	for {
		t, err := store.Trial()
		switch {
		case err != nil:
			c.printError(err)
			return exitFailure
		case t == nil:
			return c.trialOutcome(ctx, store, digest)
		case t.Name != name:
			c.log("another apply replaced this one")
			return exitFailure
		case t.Left() < -rollbackGrace:
			c.printError(errors.New("the previous farms were not restored in time: run farmc rollback"))
			return exitFailure
		}
		select {
		case <-ctx.Done():
			c.log("the confirm timer runs on: run farmc confirm, or the previous farms are restored in %s",
				max(t.Left(), 0).Round(time.Second))
			return exitFailure
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// rollbackGrace is the time after the deadline in which the confirm timer rolls back; a load can take that long.
const rollbackGrace = time.Minute

// trialOutcome prints whether the trial of the script with this digest was confirmed. The command that ended the trial
// writes its other files until it releases the lock.
func (c *call) trialOutcome(ctx context.Context, store statedir.Store, digest string) int {
	if release, err := store.Lock(ctx, func() {}); err == nil {
		defer release()
	}
	confirmed, err := store.Confirmed(digest)
	last, _ := store.Loaded()
	switch {
	case err == nil && last.Script == nil:
		c.log("farmc unload has removed the rules")
		return exitFailure
	case err != nil:
		c.printError(err)
		return exitFailure
	case confirmed:
		c.log("confirmed")
		return exitOK
	}
	c.log("rolled back: the previous farms are loaded, and each changed farm is on hold until its files change")
	return exitFailure
}
