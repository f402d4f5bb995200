package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"farmc/cmd/internal/checker"
	"farmc/cmd/internal/live"
	"farmc/cmd/internal/probe"
	"farmc/compiler/farm"
)

var probeVerb = verb{
	name:    "probe",
	args:    "FARM [BACKEND]",
	summary: "check the health of backends now, once",
	about: `Reads the farm in the files, and checks its backends, or one of them, as farmc health does; see
farmc-health(7). Prints a table with each result, its reason and the time that the check took.
Changes nothing: no word is said to farmc watch. Programs of type exec run as the user that runs
farmc probe. Exit status: 0 all checks passed, 1 at least one failed or could not be made.`,
	run: func(ctx context.Context, c *call) int {
		if len(c.args) == 0 || len(c.args) > 2 {
			return c.usageError("probe needs a farm, and takes a backend, such as farmc probe web b1")
		}
		targets, err := c.probeTargets()
		if err != nil {
			c.report(nil, nil, err)
			return exitFailure
		}
		return c.printProbes(targets, probeAll(ctx, targets))
	},
}

// probeTargets returns the targets that the arguments name.
func (c *call) probeTargets() (out []probe.Target, err error) {
	name, e := c.args[0], c.engine()
	f, diagnostics := e.ReadFarm(name)
	c.printDiagnostics(diagnostics)
	switch {
	case diagnostics.Faulty():
		return nil, live.ErrFaulty
	case f == nil:
		return nil, live.UnknownFarm(name, e.FarmNames())
	}
	for i := range f.Backends {
		if b := &f.Backends[i]; len(c.args) == 1 || slices.Contains(f.Named(c.args[1]), b) {
			out = append(out, checker.Targets(f, b)...)
		}
	}
	switch {
	case len(out) > 0:
		return out, nil
	case len(c.args) == 2 && f.HostOf(c.args[1]) == nil && len(f.Named(c.args[1])) == 0:
		return nil, live.UnknownBackend(f, c.args[1])
	case len(f.Hosts) > 0 && len(f.Backends) == 0:
		return nil, fmt.Errorf("farm %s: no hostname has an address yet", name)
	default:
		return nil, fmt.Errorf("farm %s: no check; add one to %s: health.type = \"tcp\"", name, f.Place.File)
	}
}

// probesAtOnce is the number of checks at once.
const probesAtOnce = 64

// probeAll runs checks once.
func probeAll(ctx context.Context, targets []probe.Target) []probe.Result {
	results := make([]probe.Result, len(targets))
	var all errgroup.Group
	all.SetLimit(probesAtOnce)
	for i, t := range targets {
		all.Go(func() error {
			results[i] = probe.Run(ctx, t)
			return nil
		})
	}
	_ = all.Wait() // no call returns an error
	return results
}

// printProbes prints a table of results, and returns the exit status.
func (c *call) printProbes(targets []probe.Target, results []probe.Result) int {
	status := exitOK
	table := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "BACKEND\tADDRESS\tCHECK\tRESULT\tTOOK\tREASON")
	for i, t := range targets {
		r := results[i]
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", t.Backend, socketOf(t), t.Check.Type, verdictOf(r),
			shortTime(r.Took), r.Reason)
		if !r.Healthy {
			status = exitFailure
		}
	}
	table.Flush()
	return status
}

func socketOf(t probe.Target) string {
	switch t.Check.Type {
	case farm.HealthICMP, farm.HealthExec, farm.HealthFile:
		return t.Address.String()
	}
	if t.Address.Is6() {
		return "[" + t.Address.String() + "]:" + strconv.Itoa(int(t.Port))
	}
	return t.Address.String() + ":" + strconv.Itoa(int(t.Port))
}

func verdictOf(r probe.Result) string {
	switch {
	case r.Unknown:
		return "unknown"
	case !r.Healthy:
		return "unhealthy"
	case r.Percent < 100:
		return fmt.Sprintf("weight %d %%", r.Percent)
	}
	return "healthy"
}

// shortTime writes a time with one digit behind the point: 0.4 ms, 12.0 ms.
func shortTime(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds()*1000, 'f', 1, 64) + " ms"
}
