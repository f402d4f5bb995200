package main

import (
	"context"

	"farmc/cmd/internal/schema"
)

var schemaVerb = verb{
	name:    "schema",
	summary: "print a JSON Schema of farm files, for editors",
	about: `Prints a JSON Schema (draft 7) of farm files, drop-ins and _defaults.toml: keys with their types,
bounds, defaults and meaning. An editor with a TOML language server such as taplo completes keys by
it, shows their meaning, and marks faults. Whether keys fit each other says farmc check.`,
	bare: true,
	run: func(_ context.Context, c *call) int {
		_, _ = c.stdout.Write(schema.JSON()) // run prints the error
		return exitOK
	},
}
