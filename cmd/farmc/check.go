package main

import (
	"context"
	"errors"
	"fmt"

	"farmc/cmd/internal/nft"
)

var checkVerb = verb{
	name:    "check",
	summary: "look for faults, then ask nft",
	about: `Tells all faults of all farms, each with its place, and then has nft check the script
(nft -c), which changes nothing. Without root nft is asked in a namespace of its own.
Where nft can't be asked it says so, and the exit status speaks of the farms alone.`,
	flags: func(c *call) {
		c.set.BoolVar(&c.noNft, "no-nft", false, "don't ask nft")
	},
	run: func(ctx context.Context, c *call) int {
		e := c.engine()
		if c.noNft {
			script, diagnostics := e.Compile()
			c.printDiagnostics(diagnostics)
			if script == nil {
				c.log("%s", summary(diagnostics))
				return exitFailure
			}
			c.log("%s, no fault; nft was not asked", farms(len(script.Farms)))
			return exitOK
		}
		script, diagnostics, err := e.Check(ctx)
		if errors.Is(err, nft.ErrMissing) && c.nft == "" {
			err = fmt.Errorf("%w: %w", nft.ErrCannotAsk, err)
		}
		if errors.Is(err, nft.ErrCannotAsk) {
			c.printDiagnostics(diagnostics)
			c.log("%s, no fault; %v", farms(len(script.Farms)), err)
			return exitOK
		}
		if !c.report(script, diagnostics, err) {
			return exitFailure
		}
		c.log("%s, no fault; nft accepts the script", farms(len(script.Farms)))
		return exitOK
	},
}
