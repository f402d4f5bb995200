package main

import (
	"context"
	"fmt"

	"farmc/cmd/internal/apikey"
)

var apiKeyVerb = verb{
	name:    "api-key",
	args:    "NAME",
	summary: "make a key for the API",
	about: `Makes a key for a client of the API, and prints it once: the file of keys holds only its digest.
A running farmc watch knows the key at the next request. To revoke a key, delete its line.

Roles: read reads everything; state also sets states, weights, health and bans; write does
everything; health reads farms and sets health.`,
	bare: true,
	flags: func(c *call) {
		c.set.StringVar(&c.role, "role", "", "`role` of the key: read, state, write or health")
		c.set.StringArrayVar(&c.farms, "farm", nil, "`farm` that the key may change, for roles state and health;\n"+
			"repeatable (default: all)")
		c.keysFlag()
	},
	run: func(_ context.Context, c *call) int {
		if len(c.args) != 1 {
			return c.usageError("api-key needs a name for the key")
		}
		if c.role == "" {
			return c.usageError("api-key needs --role read, state, write or health")
		}
		path := c.api.keysPath()
		secret, err := apikey.Create(path, apikey.Key{Name: c.args[0], Role: apikey.Role(c.role), Farms: c.farms})
		if err != nil {
			c.printError(err)
			return exitFailure
		}
		fmt.Fprintln(c.stdout, secret)
		c.log("the key %s is in %s; this is the only time that it is shown", c.args[0], path)
		return exitOK
	},
}
