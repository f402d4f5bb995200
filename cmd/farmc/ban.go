package main

import (
	"context"
	"fmt"
	"time"

	"farmc/cmd/internal/live"
	"farmc/compiler/farm"
	"farmc/compiler/toml"
)

var banVerb = verb{
	name:    "ban",
	args:    "FARM ADDRESS [TIME]",
	summary: "ban a client from a farm",
	about: `Drops all packets of the client to the farm for the time (90s, 1h30m, 2d; default: ban in the
farm's [limits]), including those of open connections. A client is an IPv4 address, or the /64
of an IPv6 address. Bans survive apply and watch, but not a reboot. A second ban replaces the
time of the first.`,
	run: func(ctx context.Context, c *call) int {
		if len(c.args) < 2 || len(c.args) > 3 {
			return c.usageError("ban needs a farm and an address, and takes a time")
		}
		client, ok := farm.ParseClient(c.args[1])
		if !ok {
			return c.notClient()
		}
		var long time.Duration
		if len(c.args) == 3 {
			if long, ok = toml.ParseDuration(c.args[2]); !ok {
				return c.usageError("%q is not a time like 90s, 1h30m or 2d, a year at most", c.args[2])
			}
		}
		return c.ban(ctx, live.BanRequest{Farm: c.args[0], Client: client, Duration: long})
	},
}

func (c *call) ban(ctx context.Context, q live.BanRequest) int {
	b, err := c.engine().Ban(ctx, q)
	if err != nil {
		c.printError(err)
		return exitFailure
	}
	before := ""
	if b.Before > 0 {
		before = fmt.Sprintf(" (before: %s left)", timeLeft(b.Before))
	}
	c.log("%s is banned from %s for %s%s", b.Client, q.Farm, timeLeft(b.Duration), before)
	if b.Allowed {
		c.log("but [access] allow of the farm admits it in spite of the ban")
	}
	return exitOK
}

var unbanVerb = verb{
	name:    "unban",
	args:    "FARM ADDRESS",
	summary: "end the ban of a client",
	run: func(ctx context.Context, c *call) int {
		if len(c.args) != 2 {
			return c.usageError("unban needs a farm and an address")
		}
		client, ok := farm.ParseClient(c.args[1])
		if !ok {
			return c.notClient()
		}
		was, err := c.engine().Unban(ctx, live.BanRequest{Farm: c.args[0], Client: client})
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
	return c.usageError("%q is not an address of a client, such as 198.51.100.7, 2001:db8::7 or 2001:db8::/64",
		c.args[1])
}

// timeLeft formats a time like farm files do, with at most two units.
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
