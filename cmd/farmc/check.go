package main

import (
	"context"
	"errors"
	"fmt"

	"farmc/cmd/internal/nft"
)

var checkVerb = verb{
	name:    "check",
	summary: "check the farms, then the script with nft",
	about: `Prints all faults of all farms with their places. If there are none, nft checks the script
(nft -c), which changes nothing. Without root, nft runs in a user namespace of its own. If nft
cannot run, check says so, and the exit status is that of the farms.`,
	flags: func(c *call) {
		c.set.BoolVar(&c.noNft, "no-nft", false, "check the farms only")
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
			c.log("%s, no fault; not checked by nft", farms(len(script.Farms)))
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
