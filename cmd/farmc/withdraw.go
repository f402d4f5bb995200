package main

import (
	"context"
	"time"

	"farmc/cmd/internal/announce"
	"farmc/cmd/internal/live"
)

var withdrawVerb = verb{
	name:    "withdraw",
	summary: "announce no addresses of farms until farmc announce",
	about: `Removes the routes to the addresses of farms with announce, so that routers send their packets to
other machines. Rules and connections stay: packets that still arrive are served. The withdrawal
ends with farmc announce, or with the next boot. Done before a shutdown, and by a program that
finds this machine too busy.`,
	flags: func(c *call) {
		c.set.BoolVar(&c.keep, "keep", false, "also after the next boot")
	},
	run: func(ctx context.Context, c *call) int {
		routes, err := c.engine().Withdraw(ctx, c.keep)
		if err != nil {
			c.printError(c.needsRoot(err))
			return exitFailure
		}
		c.log("%s; until farmc announce%s", routesWere(routes, "no longer announced"), untilBoot(c.keep))
		return exitOK
	},
}

var announceVerb = verb{
	name:    "announce",
	summary: "announce addresses of farms again after farmc withdraw",
	about: `Ends farmc withdraw: adds the routes to the addresses of farms with announce again, if the kernel has
the rules that were loaded last.`,
	run: func(ctx context.Context, c *call) int {
		routes, err := c.engine().Announce(ctx)
		if err != nil {
			c.printError(c.needsRoot(err))
			return exitFailure
		}
		c.log("%s", routesWere(routes, "announced"))
		return exitOK
	},
}

// withdrawDelayFlag declares the flag --withdraw-delay of commands that load.
func (c *call) withdrawDelayFlag() {
	c.set.DurationVar(&c.withdrawDelay, "withdraw-delay", live.DefaultWithdrawDelay,
		"`time` from the end of an announcement to the load that ends its service")
}

// delay is the time of --withdraw-delay, also for commands without the flag.
func (c *call) delay() time.Duration {
	if c.set.Lookup("withdraw-delay") == nil {
		return live.DefaultWithdrawDelay
	}
	return c.withdrawDelay
}

// routesWere says what has become of routes.
func routesWere(routes []announce.Route, done string) string {
	if len(routes) == 0 {
		return "no address is " + done
	}
	return done + ": " + announce.Words(routes)
}

// untilBoot is the other end of a withdrawal.
func untilBoot(keep bool) string {
	if keep {
		return ""
	}
	return " or the next boot"
}
