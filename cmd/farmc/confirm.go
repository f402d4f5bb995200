package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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

// applyOnTrial loads on trial, and waits for the outcome. A running farmc watch loads; the confirm timer belongs to
// this process, because it must not end with watch.
func (c *call) applyOnTrial(ctx context.Context) int {
	w, err := c.startConfirmTimer(ctx)
	if err != nil {
		c.printError(err)
		return exitFailure
	}
	loaded, ran := c.askToTry(ctx, w.trial)
	if !ran {
		loaded = c.try(ctx, w.trial)
	}
	w.begin()
	if loaded.Digest == "" {
		return loaded.Status
	}
	w.log(c, c.confirm)
	return max(loaded.Status, c.awaitTrial(ctx, w.trial, loaded.Digest))
}

// A tried is the outcome of a load on trial.
type tried struct {
	Status int    `json:"status"` // exit status
	Digest string `json:"digest"` // of the script on trial; "": nothing is on trial
}

// try loads on trial, and prints the result of the load.
func (c *call) try(ctx context.Context, trial string) tried {
	began := time.Now()
	p, diagnostics, err := c.engine().Try(ctx, live.TrialRequest{Name: trial, Timeout: c.confirm})
	out := tried{Status: c.finishApply(p, diagnostics, err, began)}
	if p.OnTrial && (err == nil || p.Isolated != nil) {
		out.Digest = p.Script.Digest
	}
	return out
}

// tryFor loads on trial for another process, which has the confirm timer and waits for the outcome.
func (c *call) tryFor(ctx context.Context) int {
	if c.watcher == nil {
		return c.usageError("--trial is for farmc watch alone")
	}
	out := c.try(ctx, c.trial)
	if err := json.NewEncoder(c.stdout).Encode(out); err != nil {
		c.printError(err)
	}
	return out.Status
}

// askToTry has farmc watch load on trial, and returns false if this process must load. If watch breaks off, the trial
// may be recorded nevertheless.
func (c *call) askToTry(ctx context.Context, trial string) (out tried, ran bool) {
	var answer bytes.Buffer
	status, ran := c.askWatcher(ctx, append(slices.Clone(c.line), "--trial", trial), &answer)
	if !ran {
		return tried{}, false
	}
	if json.Unmarshal(answer.Bytes(), &out) == nil {
		return out, true
	}
	out.Status = status
	if t, err := c.engine().Store.Trial(); err == nil && t != nil && t.Name == trial {
		out.Digest = t.Tried
	}
	return out, true
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
