package main

import (
	"context"
	"os/exec"
)

var unloadVerb = verb{
	name:    "unload",
	summary: "remove all rules of farmc from the kernel",
	about: `Removes the tables inet farmc and netdev farmc. The next boot loads no farms either. Farms, states of
backends and the history stay: farmc apply loads the farms again, and farmc rollback the ones that
were loaded last. No other command, and no stop of a service, removes rules. Refused while farmc
watch runs.`,
	run: func(ctx context.Context, c *call) int {
		had, err := c.engine().Unload(ctx)
		if err != nil {
			c.printError(err)
			return exitFailure
		}
		if had {
			c.log("all rules of farmc are removed")
		} else {
			c.log("the kernel holds no rules of farmc")
		}
		c.log("the next boot loads none; farmc apply loads farms again%s", andPathUnit(ctx))
		return exitOK
	},
}

// andPathUnit warns that farmc.path loads farms, too, if the unit is active.
func andPathUnit(ctx context.Context) string {
	if exec.CommandContext(ctx, "systemctl", "--quiet", "is-active", "farmc.path").Run() != nil {
		return ""
	}
	return ", and so does farmc.path at a change of a file"
}
