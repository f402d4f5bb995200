package main

import (
	"context"

	"farmc/cmd/internal/api"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/systemd"
)

// defaultRelay is the socket between the services of the package.
const defaultRelay = "/run/farmc/relay/watch.sock"

var apiVerb = verb{
	name:    "api",
	summary: "answer clients of the API for farmc watch",
	about: `Answers requests of programs, in JSON over HTTP, as farmc watch --api does; see farmc-api(7).
Reads keys and requests without any privilege, and hands valid requests to farmc watch over the
socket of --relay, so that a fault in the parsing of HTTP or TLS is no fault of the process that
changes rules. Both must be of the same version of farmc. farmc-api.service runs it.`,
	bare: true,
	flags: func(c *call) {
		c.apiFlags()
		c.relayFlag(defaultRelay, "`socket` of farmc watch")
		c.set.BoolVar(&c.insecure, "insecure-permissions", false, "accept a file of keys that other users may write to")
	},
	run: func(ctx context.Context, c *call) int {
		s, err := c.apiListeners()
		switch {
		case err != nil:
			return c.usageError("%v", err)
		case !s.any():
			return c.usageError("api needs --api, or a socket of systemd")
		case c.relay == "":
			return c.usageError("--relay is empty")
		}
		manager, err := systemd.Dial()
		if err != nil {
			c.printError(err)
		}
		keys := c.apiKeys(&live.Engine{Insecure: c.insecure})
		s.server = api.NewFront(c.relay, keys, c.log)
		c.servePages(s.server, keys)
		s.answer(ctx)
		manager.Ready("")
		<-ctx.Done()
		manager.Stopping()
		s.serving.Wait()
		return exitOK
	},
}

func (c *call) relayFlag(preset, usage string) { c.set.StringVar(&c.relay, "relay", preset, usage) }
