package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"farmc/compiler"
	"farmc/compiler/toml"
)

var banVerb = verb{
	name:    "ban",
	args:    "FARM ADDRESS [TIME]",
	summary: "shut a client out of a farm",
	about: `Nothing of the client reaches the farm for that long (90s, 1h30m, 2d; by default what ban in
the farm's [limits] says), open connections included. A client is an IPv4 address, or the /64
of an IPv6 address. Bans outlive apply and watch, and not a reboot. Who is banned already is
banned for the new time.`,
	run: func(ctx context.Context, c *call) int {
		if len(c.args) < 2 || len(c.args) > 3 {
			return c.usageError("ban wants a farm, an address and maybe a time")
		}
		client, ok := compiler.ParseClient(c.args[1])
		if !ok {
			return c.notClient()
		}
		var long time.Duration
		if len(c.args) == 3 {
			if long, ok = toml.ParseDuration(c.args[2]); !ok {
				return c.usageError("%q is not a time like 90s, 1h30m or 2d, a year at most", c.args[2])
			}
		}
		return c.ban(ctx, c.args[0], client, long)
	},
}

func (c *call) ban(ctx context.Context, farm string, client netip.Prefix, long time.Duration) int {
	b, err := c.engine().Ban(ctx, farm, client, long)
	if err != nil {
		c.printError(err)
		return exitFailure
	}
	before := ""
	if b.Before > 0 {
		before = fmt.Sprintf(" (it was, for %s more)", timeLeft(b.Before))
	}
	c.log("%s is banned from %s for %s%s", b.Client, farm, timeLeft(b.Duration), before)
	if b.Allowed {
		c.log("but allow of the farm's [access] lets it in all the same")
	}
	return exitOK
}

var unbanVerb = verb{
	name:    "unban",
	args:    "FARM ADDRESS",
	summary: "let a banned client in again",
	run: func(ctx context.Context, c *call) int {
		if len(c.args) != 2 {
			return c.usageError("unban wants a farm and an address")
		}
		client, ok := compiler.ParseClient(c.args[1])
		if !ok {
			return c.notClient()
		}
		was, err := c.engine().Unban(ctx, c.args[0], client)
		switch {
		case err != nil:
			c.printError(err)
			return exitFailure
		case !was:
			c.printError(fmt.Errorf("%s is not banned from %s", c.args[1], c.args[0]))
			return exitFailure
		}
		c.log("%s is no longer banned from %s", c.args[1], c.args[0])
		return exitOK
	},
}

func (c *call) notClient() int {
	return c.usageError("%q is not an address of a client: 198.51.100.7, 2001:db8::7, or 2001:db8::/64", c.args[1])
}

// timeLeft writes a time as farms do, of two units at most.
func timeLeft(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= day && d%day >= time.Hour:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	case d >= day:
		return fmt.Sprintf("%dd", d/day)
	case d >= time.Hour && d%time.Hour >= time.Minute:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= time.Minute && d%time.Minute >= time.Second:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d >= time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d >= time.Second:
		return fmt.Sprintf("%ds", d/time.Second)
	}
	return d.String()
}
