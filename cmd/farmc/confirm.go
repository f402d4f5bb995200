package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"farmc/cmd/internal/live"
)

var confirmVerb = verb{
	name:    "confirm",
	summary: "keep what apply --confirm loaded",
	run: func(ctx context.Context, c *call) int {
		if err := c.engine().Confirm(ctx); err != nil {
			c.printError(err)
			return exitFailure
		}
		c.log("confirmed: the farms stay, and are for the next boot, too")
		return exitOK
	},
}

var rollbackVerb = verb{
	name:    "rollback",
	summary: "load what was loaded before",
	about: `Goes back to the farms that were loaded before the last ones, or takes back at once what
waits to be confirmed. The files stay as they are: they are held, and neither apply nor watch
loads them, until one of them changes. Once back there is nothing further to go back to.`,
	run: func(ctx context.Context, c *call) int {
		began := time.Now()
		p, err := c.engine().Rollback(ctx)
		if err != nil {
			c.printError(err)
			return exitFailure
		}
		c.printChanges(p)
		c.log("rolled back: %s", result(p, time.Since(began)))
		c.log("the files are held until one changes")
		return exitOK
	},
}

// awaitVerb is for farmc itself: the process that waits whether a load is confirmed. It is told the trial's name.
var awaitVerb = verb{
	name: "await",
	args: "TRIAL",
	run: func(ctx context.Context, c *call) int {
		io.Copy(io.Discard, os.Stdin) // until apply has loaded, or is no more
		if len(c.args) != 1 || c.engine().Await(ctx, c.args[0]) != nil {
			return exitFailure
		}
		return exitOK
	},
}

// A waiter is a farmc that waits whether a load is confirmed. It depends on neither the process, the terminal nor the
// session of the one that loads: those may be what the load cuts off.
type confirmTimer struct {
	trial string
	start io.Closer
}

// newWaiter starts one, before anything is loaded: if that can't be had nothing is.
func (c *call) startConfirmTimer() (*confirmTimer, error) {
	w := &confirmTimer{trial: rand.Text()}
	state, err := filepath.Abs(c.stateDir)
	if err != nil {
		return nil, err
	}
	args := []string{"await", "--state-dir", state}
	if c.insecure {
		args = append(args, "--insecure-permissions")
	}
	if c.nft != "" {
		program, err := exec.LookPath(c.nft)
		if err == nil {
			program, err = filepath.Abs(program)
		}
		if err != nil {
			return nil, err
		}
		args = append(args, "--nft", program)
	}
	input, start, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer input.Close()
	w.start = start
	cmd := exec.Command("/proc/self/exe", append(args, w.trial)...)
	cmd.Args[0] = os.Args[0]
	cmd.Dir, cmd.Stdin = "/", input
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		start.Close()
		return nil, fmt.Errorf("nobody to wait whether it is confirmed: %w", err)
	}
	go cmd.Wait()
	return w, nil
}

// try loads on trial, and waits with the waiter for what becomes of it.
func (c *call) applyOnTrial(ctx context.Context) int {
	began := time.Now()
	w, err := c.startConfirmTimer()
	if err != nil {
		c.printError(err)
		return exitFailure
	}
	p, diagnostics, err := c.engine().Try(ctx, live.TrialRequest{Name: w.trial, Timeout: c.confirm})
	w.start.Close()
	status := c.finishApply(p, diagnostics, err, began)
	if !p.OnTrial || err != nil && p.Isolated == nil {
		return status
	}
	c.log("farmc confirm keeps it; else it is taken back in %s", c.confirm)
	return max(status, c.awaitTrial(ctx, w.trial, p.Script.Digest))
}

// awaited says what became of a trial.
func (c *call) awaitTrial(ctx context.Context, name, digest string) int {
	store := c.engine().Store
	for {
		t, err := store.Trial()
		switch {
		case err != nil:
			c.printError(err)
			return exitFailure
		case t == nil:
			return c.trialOutcome(store, digest)
		case t.Name != name:
			c.log("another apply took its place")
			return exitFailure
		case t.Left() < -rollbackGrace:
			c.printError(errors.New("nobody took it back: see that farmc apply or farmc rollback can"))
			return exitFailure
		}
		select {
		case <-ctx.Done():
			c.log("it waits on without this farmc: farmc confirm keeps it; else it is taken back in %s", max(t.Left(), 0).Round(time.Second))
			return exitFailure
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// grace is how long after its time a trial may be taken back: a load takes a while.
const rollbackGrace = time.Minute

func (c *call) trialOutcome(store live.Store, digest string) int {
	confirmed, err := store.Confirmed(digest)
	switch {
	case err != nil:
		c.printError(err)
		return exitFailure
	case confirmed:
		c.log("confirmed")
		return exitOK
	}
	c.log("taken back: the farms before are loaded, and the files are held until one changes")
	return exitFailure
}
