package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"farmc/cmd/internal/nft"
)

// version is farmc's own.
const version = "0.1.0"

var versionVerb = verb{
	name:    "version",
	summary: "print the versions of farmc and nft",
	run: func(ctx context.Context, c *call) int {
		fmt.Fprintf(c.stdout, "farmc %s%s (%s)\n", version, commit(), runtime.Version())
		v, err := nft.Nft{Path: c.nft}.Version(ctx)
		if err != nil {
			c.tell("%v", err)
			return done
		}
		fmt.Fprintf(c.stdout, "nft %s\n", v)
		return done
	},
}

// commit is what farmc was built from, where the build knows it.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "+" + s.Value[:12]
		}
	}
	return ""
}
