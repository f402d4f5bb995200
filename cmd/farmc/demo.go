package main

import (
	"context"
	"os"

	"farmc/cmd/internal/demo"
)

var demoVerb = verb{
	name:    "demo",
	summary: "show farmc at work, in network namespaces",
	about: `Makes a client, a balancer and three backends in network namespaces, loads example farms, and prints
the backends that answer real connections, while farms are edited. It touches nothing of this
machine, and cleans up. It needs nft, and root or user namespaces.`,
	bare: true,
	run: func(_ context.Context, c *call) int {
		farmc, err := os.Executable()
		if err == nil {
			err = demo.Run(c.stdout, farmc)
		}
		if err != nil {
			c.printError(err)
			return exitFailure
		}
		return exitOK
	},
}
