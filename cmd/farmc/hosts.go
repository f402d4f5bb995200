package main

import (
	"context"
	"fmt"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/resolve"
	"farmc/compiler/farm"
)

// resolveFlag declares the flag --resolve of compile, check, diff and apply.
func (c *call) resolveFlag() {
	c.set.BoolVar(&c.resolve, "resolve", false, "ask DNS now for the hostnames of backends")
}

// resolveHosts asks for the hostnames of the farms, or of the farm file that is the argument, if --resolve is given.
// The engine uses the answers.
func (c *call) resolveHosts(ctx context.Context, e *live.Engine) {
	if records := c.hostRecords(ctx, e); len(records) > 0 {
		e.UseAnswers(records)
	}
}

// keepHosts is resolveHosts, and writes the answers to the state directory.
func (c *call) keepHosts(ctx context.Context, e *live.Engine) (err error) {
	if records := c.hostRecords(ctx, e); len(records) > 0 {
		_, err = e.KeepAnswers(records)
	}
	return err
}

// hostRecords asks for the hostnames if --resolve is given.
func (c *call) hostRecords(ctx context.Context, e *live.Engine) map[string]resolve.Record {
	if !c.resolve {
		return nil
	}
	var wanted map[string]resolve.Wanted
	if len(c.args) == 1 {
		wanted = e.HostsIn(c.args[0])
	} else {
		wanted = e.Hosts(nil)
	}
	if len(wanted) == 0 {
		return nil
	}
	records := resolve.New(farm.Unfit).AskOnce(ctx, wanted)
	c.printDiagnostics(live.HostWarnings(records))
	return records
}

// askHosts starts to ask for the hostnames of farms, until ctx is done.
func (w *watcher) askHosts(ctx context.Context) {
	w.hosts, w.failing = resolve.New(farm.Unfit), map[string]bool{}
	w.services.Go(func() { w.hosts.Run(ctx) })
}

// wantHosts sets the hostnames that are asked for: those in the files, and those of the farms that were loaded last.
func (w *watcher) wantHosts() { w.hosts.Want(w.engine.Hosts(w.farms)) }

// keepAnswers keeps the answers, and returns true if they differ from the ones before. Failures are logged when they
// begin and when they end.
func (w *watcher) keepAnswers() bool {
	records := w.hosts.Records()
	changed, err := w.engine.KeepAnswers(records)
	if err != nil {
		w.printError(err)
	}
	for host := range w.failing {
		if r, asked := records[host]; !asked || r.Reason == "" {
			delete(w.failing, host)
			if asked {
				w.log("%s is resolved again", host)
			}
		}
	}
	for host, r := range records {
		if r.Reason != "" && !w.failing[host] {
			w.failing[host] = true
			w.printDiagnostics(live.HostWarnings(map[string]resolve.Record{host: r}))
		}
	}
	return changed
}

// hostFacts are the hostnames of a status, a line each.
func hostFacts(all []live.HostStatus) (out []string) {
	for _, h := range all {
		words := fmt.Sprintf("%s: %s", h.Name, countAddresses(len(h.Addresses)))
		switch {
		case h.Failure != "" && h.Since != "":
			words += fmt.Sprintf(", the last good answer; since %s: %s", timeOf(h.Since), h.Failure)
		case h.Failure != "":
			words += ": " + h.Failure
		}
		out = append(out, words)
		for _, r := range h.Refused {
			out = append(out, fmt.Sprintf("  %s is left out: %s", r.Address, r.Reason))
		}
	}
	return out
}

func countAddresses(n int) string {
	if n == 1 {
		return "1 address"
	}
	return fmt.Sprintf("%d addresses", n)
}
