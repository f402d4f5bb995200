package main

import (
	"context"
	"errors"
	"fmt"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/nft"
	"farmc/compiler/diag"
	"farmc/compiler/ruleset"
)

var checkVerb = verb{
	name:    "check",
	args:    "[FILE]",
	summary: "check the farms, then the script with nft",
	about: `Prints all faults of all farms with their places. If there are none, nft checks the script
(nft -c), which changes nothing. Without root, nft runs in a user namespace of its own. If nft
cannot run, check says so, and the exit status is that of the farms.

With FILE only this farm file is checked, wherever it is, together with the lists beside it that
it names. Drop-ins and other farms are left out, so conflicts with other farms are not found.

With --machine, check then prints what keeps the farms from working on this machine, and what
suits few farms. The exit status is 1 if the machine stops packets of a farm.`,
	flags: func(c *call) {
		c.set.BoolVar(&c.noNft, "no-nft", false, "check the farms only")
		c.set.BoolVar(&c.machine, "machine", false,
			"check this machine, too: settings, rules of other programs, addresses")
		c.resolveFlag()
	},
	run: func(ctx context.Context, c *call) int {
		if len(c.args) > 1 {
			return c.usageError("check takes at most one farm file; without a file it checks all farms")
		}
		e := c.engine()
		c.resolveHosts(ctx, e)
		if c.noNft {
			return c.checkFarms(ctx, e)
		}
		script, diagnostics, err := c.checkScript(ctx, e)
		if errors.Is(err, nft.ErrMissing) && c.nft == "" {
			err = fmt.Errorf("%w: %w", nft.ErrCannotAsk, err)
		}
		if errors.Is(err, nft.ErrCannotAsk) {
			c.printDiagnostics(diagnostics)
			c.log("%s, no fault; %v", farms(len(script.Farms)), err)
			return c.checkMachine(ctx, script)
		}
		if !c.report(script, diagnostics, err) {
			return exitFailure
		}
		c.log("%s, no fault; nft accepts the script", farms(len(script.Farms)))
		return c.checkMachine(ctx, script)
	},
}

// checkFarms checks the farms, or the farm file, without nft.
func (c *call) checkFarms(ctx context.Context, e *live.Engine) int {
	script, diagnostics, err := c.compileArgument(e)
	if err == nil && script == nil {
		err = live.ErrFaulty
	}
	if !c.report(nil, diagnostics, err) {
		return exitFailure
	}
	c.log("%s, no fault; not checked by nft", farms(len(script.Farms)))
	return c.checkMachine(ctx, script)
}

func (c *call) compileArgument(e *live.Engine) (*ruleset.Script, diag.Diagnostics, error) {
	if len(c.args) == 1 {
		return e.CompileFile(c.args[0])
	}
	script, diagnostics := e.Compile()
	return script, diagnostics, nil
}

// checkScript checks the farms, or the farm file, and has nft check the script.
func (c *call) checkScript(ctx context.Context, e *live.Engine) (*ruleset.Script, diag.Diagnostics, error) {
	if len(c.args) == 1 {
		return e.CheckFile(ctx, c.args[0])
	}
	return e.Check(ctx)
}

// checkMachine prints the findings about this machine if they are asked for, and returns the exit status.
func (c *call) checkMachine(ctx context.Context, script *ruleset.Script) int {
	if !c.machine {
		return exitOK
	}
	found := c.engine().Findings(ctx, script.Farms)
	c.printDiagnostics(found.Diagnostics())
	switch {
	case found.Stop():
		c.log("packets of farms are lost")
		return exitFailure
	case len(found) == 0:
		c.log("this machine is ready for the farms")
	}
	return exitOK
}
