package ruleset

import (
	"cmp"
	"slices"

	"farmc/compiler/addr"
	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/toml"
)

// The hooks that log the first packet of a connection: as it comes in, as this machine opens it, as it is forwarded,
// and as it leaves; and requests of stateless farms as they are forwarded.
var (
	logInputHook  = baseChain{name: "log-input", section: logSection, prefix: "log-input-", any: "log-any"}
	logOpenedHook = baseChain{name: "log-opened", section: logSection, prefix: "log-remote-", any: "log-local-any",
		opens: true}
	logForwardHook = baseChain{name: "log-forward", section: logSection, prefix: "log-forward-"}
	logOutputHook  = baseChain{name: "log-output", section: logSection, prefix: "log-output-"}
	logRequestHook = baseChain{name: "log-requests", section: logSection, prefix: "log-request-"}
)

// A logChain logs packets of one farm on one occasion. It has a bucket of its own, so that a flood on one occasion does
// not silence the others.
type logChain struct {
	Only      []string // the interfaces that the farm's packets come in by; none: all
	Untracked bool     // every packet comes here; of TCP, packets that open a connection are logged
	Rate      toml.Rate
	Burst     int
	Lines     []logLine // the first line that matches is logged
	Origin    *diag.Origin
}

// A logLine is the line for packets to a backend, or for all packets.
type logLine struct {
	Prefix  string
	Family  addr.Family
	Address string // "": every backend
	Port    uint16 // 0: every port
}

// A logLimit is the bucket of a farm's log rules in several chains, of one occasion.
type logLimit struct {
	Rate  toml.Rate
	Burst int
}

// A logRule logs a packet while its bucket is not empty, and evaluation continues.
type logRule struct {
	Limit, Prefix string
	Origin        *diag.Origin
}

// logRule gives the rule that logs an event of the farm; nil if the farm does not log it.
func (l *linker) logRule(s *service, e farm.LogEvent) *logRule {
	if !s.Logs(e.On) {
		return nil
	}
	name, origin := s.ownName("log-"+string(e.On)), s.Origin("log")
	l.rules.add(&object{table: Inet, kind: KindLimit, Name: name, section: logSection, template: "log-limit",
		data: logLimit{s.Log.Rate, s.Log.Burst()}, origin: origin})
	return &logRule{name, s.LogPrefix(e), origin}
}

// log dispatches the first packets of connections to the chains that log them.
func (l *linker) log(tracked, established []frontend) {
	l.dispatchBoth(logInputHook, logOpenedHook, tracked, func(d frontend) verdict {
		return goTo(l.synproxyFirst(d, l.logChain(d.farm, farm.OnInput)))
	})
	l.logForwarded(established)
	l.dispatch(logOutputHook, established, func(d frontend) verdict {
		return goTo(l.logChain(d.farm, farm.OnOutput))
	})
}

// logForwarded dispatches connections as they are forwarded to a backend. Those that the kernel opens for clients leave
// from this machine.
func (l *linker) logForwarded(established []frontend) {
	opened := false
	h := l.dispatch(logForwardHook, established, func(d frontend) verdict {
		name := l.logChain(d.farm, farm.OnForward)
		opened = opened || name != "" && l.synproxied(d)
		return goTo(name)
	})
	if opened {
		l.rules.add(newChain("log-forward-opened", logSection, "log-forward-opened").with(h))
	}
}

// logRequests dispatches the packets of farms without connection tracking to the chains that log them: at their
// ingress, and as they are forwarded to a backend, which belongs to one service alone.
func (l *linker) logRequests(served []frontend) {
	for _, in := range l.ingresses {
		if !in.Slow { // its packets were logged at their ingress
			l.logAtIngress(in, in.met)
		}
	}
	for _, d := range served {
		if d.farm.Mode != farm.Stateless || !d.farm.Logs(farm.OnForward) {
			continue
		}
		for _, r := range d.Replies() {
			from := d
			from.Frontend = r.Source()
			l.addToHook(l.hook(logRequestHook), logRequestHook, from, goTo(l.logChain(d.farm, farm.OnForward)))
		}
	}
}

func (l *linker) logAtIngress(in *ingress, served []frontend) {
	if !slices.ContainsFunc(served, func(d frontend) bool { return in.takes(d.farm) && d.farm.Logs(farm.OnInput) }) {
		return
	}
	general := in.mostGeneral(served, false)
	for _, d := range served {
		switch {
		case in.takes(d.farm) && d.farm.Logs(farm.OnInput):
			l.addTo(&in.Logs, in.place("log-"), d, string(goTo(l.logChain(d.farm, farm.OnInput))))
		case (in.takes(d.farm) || in.passes(d.farm)) && d.Specificity < general.at(d):
			l.addTo(&in.Logs, in.place("log-"), d, string(goBack))
		}
	}
	l.rules.add(newChain(in.Name+"/log", logSection, "log-at-ingress").at(in.table()).with(in))
}

// logChain gives the chain that logs the farm's packets on the occasion; "" if the farm does not log them.
func (l *linker) logChain(s *service, on farm.Occasion) string {
	if !s.Logs(on) {
		return ""
	}
	untracked := s.Mode.Untracked()
	table := Inet
	if untracked && len(s.Interfaces) > 0 {
		table = Netdev
	}
	o := newChain(s.ownName("log-"+string(on)), logSection, "log").at(table)
	obtain(&l.rules, o, func() *logChain {
		c := &logChain{Rate: s.Log.Rate, Burst: s.Log.Burst(), Untracked: untracked, Origin: s.Origin("log")}
		if on == farm.OnInput {
			c.Lines = []logLine{{Prefix: s.LogPrefix(farm.LogEvent{On: on, Reason: string(on)})}}
		} else {
			c.Lines = s.logLines(on)
		}
		if on == farm.OnInput && !untracked {
			c.Only = l.only(s.Interfaces)
		}
		return c
	})
	return o.Name
}

// logLines are the lines of connections with a backend: one for each backend, if they name the backend.
func (s *service) logLines(on farm.Occasion) []logLine {
	var out []logLine
	for _, family := range addr.Families {
		for _, b := range s.Eligible(family) {
			text := s.LogPrefix(farm.LogEvent{On: on, Reason: string(on), Backend: b.FileName()})
			out = append(out, logLine{text, family, b.Address[family].String(), b.Port})
		}
	}
	if len(out) > 0 && !slices.ContainsFunc(out, func(o logLine) bool { return o.Prefix != out[0].Prefix }) {
		return []logLine{{Prefix: out[0].Prefix}}
	}
	slices.SortStableFunc(out, func(a, b logLine) int { // lines with a port first
		return cmp.Compare(min(b.Port, 1), min(a.Port, 1))
	})
	return out
}
