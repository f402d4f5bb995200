package compiler

import (
	"cmp"
	"slices"
)

// A logChain is where packets of one farm are written to the log on one occasion. It has a bucket of its own, so that a
// flood that one occasion tells of doesn't silence the others.
type logChain struct {
	Name      string
	Only      []string // the interfaces that the farm's packets come in by; none: all
	Untracked bool     // each packet comes here: of TCP those that open a connection are written
	Rate      Rate
	Burst     int
	Lines     []logLine // the first that fits is written
	Origin    *Origin
}

// A logLine is what is written of packets to a backend, or of all.
type logLine struct {
	Prefix  string
	Family  Family
	Address string // "": of all
	Port    uint16 // 0: of all
}

// A logLimit is the bucket of what rules of several chains write: a farm's, of one occasion.
type logLimit struct {
	Name   string
	Rate   Rate
	Burst  int
	Origin *Origin
}

// A logRule is a rule that writes a packet to the log while its bucket isn't empty, and lets it go on.
type logRule struct {
	Limit, Prefix string
	Origin        *Origin
}

// write gives the rule that writes what happened to packets of a farm, in a chain of the table netdev farmc or of the
// other one; nil if the farm doesn't want to know.
func (l *linker) write(f *Farm, netdev bool, e event) *logRule {
	if !f.Logs(e.on) {
		return nil
	}
	limit := logLimit{ownName(f, "log-"+string(e.on)), f.Log.Rate, f.Log.burst(), f.origin("log")}
	limits := &l.rules.logLimits
	if netdev {
		limits = &l.rules.ingressLogLimits
	}
	if !slices.ContainsFunc(*limits, func(o logLimit) bool { return o.Name == limit.Name }) {
		*limits = append(*limits, limit)
	}
	return &logRule{limit.Name, f.prefixOf(e), limit.Origin}
}

// log leads the first packets of connections to the chains that write them.
func (l *linker) log(doors, chosen []door) {
	l.leadSome(&l.rules.logInput, "log-input-", doors, func(d door) string { return l.logged(d.farm, OnInput) })
	l.leadSome(&l.rules.logOpened, "log-opened-", doors, func(d door) string {
		if !d.farm.LocalClients {
			return ""
		}
		return l.logged(d.farm, OnInput)
	})
	l.leadSome(&l.rules.logForward, "log-forward-", chosen, func(d door) string { return l.logged(d.farm, OnForward) })
	l.leadSome(&l.rules.logOutput, "log-output-", chosen, func(d door) string { return l.logged(d.farm, OnOutput) })
}

// logRequests leads what farms without connection tracking hand on to the chains that write it: as it comes in by an
// ingress, and as it is forwarded to a backend, which belongs to one service alone.
func (l *linker) logRequests(doors []door) {
	for _, in := range l.rules.ingresses {
		general := in.general(doors, false)
		for _, d := range doors {
			switch {
			case in.takes(d.farm) && d.farm.Logs(OnInput):
				l.lead(&in.Logs, in.Name+"/log-", d, "goto "+l.logged(d.farm, OnInput))
			case (in.takes(d.farm) || in.passes(d.farm)) && d.level < general[d.address]:
				l.lead(&in.Logs, in.Name+"/log-", d, "return")
			}
		}
		if !slices.ContainsFunc(doors, func(d door) bool { return in.takes(d.farm) && d.farm.Logs(OnInput) }) {
			in.Logs = nil
		}
	}
	for _, d := range doors {
		if d.farm.Mode != Stateless || !d.farm.Logs(OnForward) {
			continue
		}
		for _, r := range d.replies() {
			l.lead(&l.rules.logRequests, "log-request-", r.from(), "goto "+l.logged(d.farm, OnForward))
		}
	}
}

// logged gives the chain that writes what of the farm is seen on the occasion; "" if that isn't wanted.
func (l *linker) logged(f *Farm, on Occasion) string {
	if !f.Logs(on) {
		return ""
	}
	c := &logChain{Name: ownName(f, "log-"+string(on)), Rate: f.Log.Rate, Burst: f.Log.burst(), Untracked: slices.Contains(frames, f.Mode), Origin: f.origin("log")}
	chains := &l.rules.logs
	if c.Untracked && len(f.Interfaces) > 0 {
		chains = &l.rules.ingressLogs
	}
	if slices.ContainsFunc(*chains, func(o *logChain) bool { return o.Name == c.Name }) {
		return c.Name
	}
	if on == OnInput {
		c.Lines = []logLine{{Prefix: f.prefixOf(event{on: on, reason: string(on)})}}
	} else {
		c.Lines = f.logLines(on)
	}
	if on == OnInput && !c.Untracked {
		c.Only = f.Interfaces
	}
	*chains = append(*chains, c)
	return c.Name
}

// logLines are those of a connection whose backend is chosen: one for each backend, if they tell which.
func (f *Farm) logLines(on Occasion) []logLine {
	var out []logLine
	for _, family := range Families {
		for _, b := range f.takes(family) {
			text := f.prefixOf(event{on: on, reason: string(on), backend: b.Name})
			out = append(out, logLine{text, family, b.Address[family].String(), b.Port})
		}
	}
	if len(out) > 0 && !slices.ContainsFunc(out, func(o logLine) bool { return o.Prefix != out[0].Prefix }) {
		return []logLine{{Prefix: out[0].Prefix}}
	}
	slices.SortStableFunc(out, func(a, b logLine) int { return cmp.Compare(min(b.Port, 1), min(a.Port, 1)) }) // the more particular first
	return out
}

func sortLogs(r *ruleset) {
	for _, all := range [][]*logChain{r.logs, r.ingressLogs} {
		slices.SortFunc(all, func(a, b *logChain) int { return cmp.Compare(a.Name, b.Name) })
	}
	for _, all := range [][]logLimit{r.logLimits, r.ingressLogLimits} {
		slices.SortFunc(all, func(a, b logLimit) int { return cmp.Compare(a.Name, b.Name) })
	}
}

type logChainView struct {
	*logChain
	Lines []logLineView
}

type logLineView struct {
	logLine
	view
}

func logChainViews(all []*logChain) []logChainView {
	out := make([]logChainView, len(all))
	for i, c := range all {
		out[i].logChain = c
		for _, line := range c.Lines {
			out[i].Lines = append(out[i].Lines, logLineView{line, view{line.Family}})
		}
	}
	return out
}
