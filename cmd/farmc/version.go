package main

import (
	"context"
	"fmt"
	"runtime"

	"farmc/cmd/internal/nft"
)

// version is the version of farmc.
const version = "0.2.0"

var versionVerb = verb{
	name:    "version",
	summary: "print the versions of farmc and nft",
	run: func(ctx context.Context, c *call) int {
		fmt.Fprintf(c.stdout, "farmc %s (%s)\n", version, runtime.Version())
		v, err := nft.Nft{Path: c.nft, Limit: c.nftLimit}.Version(ctx)
		if err != nil {
			c.log("%v", err)
			return exitOK
		}
		fmt.Fprintf(c.stdout, "nft %s\n", v)
		return exitOK
	},
}
