package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"farmc/cmd/internal/doctor"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/nft"
	"farmc/cmd/internal/preflight"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
)

var doctorVerb = verb{
	name:    "doctor",
	summary: "look for everything that keeps farms from working",
	about: `Prints all findings about this machine: those of check --machine, and machines that answer for the
address of a dsr service, packets that are too large for the backends, a nearly full table of
connection tracking, source addresses that have few ports left, farms without a backend that takes
new clients, versions that are too old, units that failed or are not enabled, files that other
users can write to, a clock that was set back, rules in the kernel that another program flushed or
changed, and changes in the files that are not applied, with the modules that the kernel lacks for
them. It asks other machines on the links of dsr farms, and changes nothing.

doctor speaks of the farms that are loaded, or of the files if none are.

With --backend it prints the commands that the backends of a farm need, for their shells.

Exit status: 0, or 1 if something stops packets of a farm, or the files have faults.`,
	flags: func(c *call) {
		c.set.StringVar(&c.backend, "backend", "", "print the commands for the backends of this `farm`")
	},
	run: func(ctx context.Context, c *call) int {
		e := c.engine()
		all, ok := c.farmsToExplain(e)
		switch {
		case !ok:
			return exitFailure
		case c.backend != "":
			return c.showBackendCommands(all)
		}
		differs := e.Disagreement(ctx).Findings()
		diagnostics := c.faultsOf(ctx, e, len(differs) > 0)
		found := append(differs, c.examine(ctx, e, all)...).Causes(diagnostics.Faulty())
		found.Sort()
		c.printDiagnostics(append(diagnostics, found.Diagnostics()...))
		c.log("%s, %s", farms(len(all)), findingsWord(len(found)))
		switch {
		case found.Stop():
			c.log("packets of farms are lost")
			return exitFailure
		case diagnostics.Faulty():
			c.log("the files have faults: they cannot be loaded")
			return exitFailure
		}
		return exitOK
	},
}

// examine returns all findings.
func (c *call) examine(ctx context.Context, e *live.Engine, farms []*farm.Farm) preflight.Findings {
	p := doctor.Patient{Farms: farms}
	if info, err := e.Store.StatLoaded(); err == nil {
		p.Loaded = info.ModTime()
	}
	version, err := nft.Nft{Path: c.nft, Limit: c.nftLimit}.Version(ctx)
	if err != nil {
		c.printError(err)
	}
	p.Nft = version
	doctor.Prompt(farms)
	return append(e.Findings(ctx, farms), doctor.Examine(ctx, p)...)
}

// faultsOf returns the faults of the files. nft checks a script that is not in the kernel, and names the parts that the
// kernel lacks.
func (c *call) faultsOf(ctx context.Context, e *live.Engine, differs bool) diag.Diagnostics {
	if _, err := e.Store.StatLoaded(); err == nil && !differs {
		_, diagnostics := e.Compile()
		return diagnostics
	}
	_, diagnostics, err := e.Check(ctx)
	known := errors.Is(err, live.ErrFaulty) || errors.Is(err, nft.ErrCannotAsk) || errors.Is(err, nft.ErrMissing)
	if err != nil && !known {
		c.printError(err)
	}
	return diagnostics
}

func (c *call) showBackendCommands(farms []*farm.Farm) int {
	i := slices.IndexFunc(farms, func(f *farm.Farm) bool { return f.Name == c.backend })
	if i < 0 {
		c.printError(live.UnknownFarm(c.backend, live.NamesOf(farms)))
		return exitFailure
	}
	for _, line := range doctor.BackendCommands(farms[i]) {
		fmt.Fprintln(c.stdout, line)
	}
	return exitOK
}

func findingsWord(n int) string {
	switch n {
	case 0:
		return "no finding"
	case 1:
		return "one finding"
	}
	return fmt.Sprintf("%d findings", n)
}
