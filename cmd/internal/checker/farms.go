package checker

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"farmc/cmd/internal/probe"
	"farmc/compiler/farm"
)

// A Result is the result of a check.
type Result = probe.Result

// A Prober runs a check once. It ends soon after ctx.
type Prober func(ctx context.Context) Result

// Of returns the checks of farms.
func Of(farms []*farm.Farm) (checks []Check) {
	for _, f := range farms {
		for i := range f.Backends {
			if t := Targets(f, &f.Backends[i]); len(t) > 0 {
				checks = append(checks, newCheck(t))
			}
		}
	}
	return checks
}

// Targets returns the targets of a backend, one for each of its addresses. There is none if the backend has no check.
func Targets(f *farm.Farm, b *farm.Backend) (out []probe.Target) {
	h := f.HealthOf(b)
	if h.Type == farm.HealthNone {
		return nil
	}
	for _, a := range b.Address.All() {
		out = append(out, probe.Target{Address: a, Port: h.Port, Farm: f.Name, Backend: b.Name, Check: h})
	}
	return out
}

func newCheck(targets []probe.Target) Check {
	h := targets[0].Check
	c := Check{Name: Name{targets[0].Farm, targets[0].Backend}, Spec: targets,
		Run: func(ctx context.Context) Result { return runAll(ctx, targets) },
		Timing: Timing{Interval: h.Interval, Fast: h.FastInterval, Timeout: h.Timeout, Jitter: float64(h.Jitter) / 100,
			Rise: h.Rise, Fall: h.Fall, StartsDown: h.Start == farm.Down}}
	if h.Type == farm.HealthExec {
		c.Kind = Program
	}
	return c
}

// runAll checks all addresses of a backend at once. The backend is as healthy as the worst of them.
func runAll(ctx context.Context, targets []probe.Target) Result {
	if len(targets) == 1 {
		return probe.Run(ctx, targets[0])
	}
	results := make([]Result, len(targets))
	var all sync.WaitGroup
	for i, t := range targets {
		all.Go(func() { results[i] = probe.Run(ctx, t) })
	}
	all.Wait()
	return worst(targets, results)
}

// worst returns the result of a backend with several addresses. Its reason names the address unless all are healthy.
func worst(targets []probe.Target, results []Result) Result {
	out, at := results[0], 0
	for i, r := range results {
		out.Took = max(out.Took, r.Took)
		if rank(r) < rank(results[at]) {
			at = i
		}
	}
	took := out.Took
	if out = results[at]; rank(out) < full {
		out.Reason = shortened(fmt.Sprintf("%s: %s", targets[at].Address, out.Reason))
	}
	out.Took = took
	return out
}

// full is the rank of a backend with all of its weight.
const full = 100

// rank orders results from the worst to the best.
func rank(r Result) int {
	switch {
	case r.Unknown:
		return -1
	case !r.Healthy:
		return -2
	}
	return r.Percent
}

func shortened(reason string) string {
	if len(reason) <= probe.LongestReason {
		return reason
	}
	return strings.ToValidUTF8(reason[:probe.LongestReason], "")
}
