package live

import (
	"context"
	"fmt"

	"farmc/cmd/internal/preflight"
	"farmc/cmd/internal/statedir"
)

// A Disagreement is the difference between the last load, the kernel and the files. The zero Disagreement is none.
type Disagreement struct {
	Rules   Rules    // "": unknown
	Pending []string // changes in the files that are not applied, one sentence each
	Faulty  bool     // the files have faults

	unread error // why the kernel's rules are unknown
}

// Disagreement compares the last load with the kernel and the files. Without a load there is none.
func (e *Engine) Disagreement(ctx context.Context) Disagreement {
	defer e.exclusive()()
	now := e.compile()
	last, loaded, err := e.lastLoadedAs(now)
	if err != nil {
		return Disagreement{}
	}
	e.memory().kept = loaded
	return e.disagreement(ctx, last, now)
}

// disagreement compares a load with the kernel and the files, which are compiled to now.
func (e *Engine) disagreement(ctx context.Context, last statedir.LastLoad, now *compilation) (d Disagreement) {
	d.Rules, d.unread = e.rules(ctx, last)
	s := newStatus()
	s.setFaults(now)
	s.setPending(last, now, "")
	d.Pending, d.Faulty = s.Pending, len(s.Faults) > 0
	return d
}

// Findings are the findings about the disagreement. Faults of the files are diagnostics instead.
func (d Disagreement) Findings() (found preflight.Findings) {
	if f := d.rulesFinding(); f != nil {
		found = append(found, f)
	}
	if len(d.Pending) > 0 {
		found = append(found, pendingFinding(d.Pending))
	}
	return found
}

// rulesFinding is the finding about rules in the kernel that are not the ones loaded last; nil: they are.
func (d Disagreement) rulesFinding() *preflight.Finding {
	f, differ := rulesFindings[d.Rules]
	if !differ {
		return nil
	}
	f.Commands = []string{"farmc apply"}
	return &f
}

// files describes the files in a sentence if they are not the ones loaded last.
func (d Disagreement) files() string {
	switch {
	case d.Faulty:
		return "the files have faults: run farmc check"
	case len(d.Pending) > 0:
		return pendingFinding(d.Pending).Message
	}
	return ""
}

// rulesFindings are the findings about rules in the kernel that are not the ones loaded last.
var rulesFindings = map[Rules]preflight.Finding{
	RulesNone: {Kind: "rules", Object: "kernel", Effect: preflight.Stops,
		Message: "the kernel holds no farms: the rules that were loaded last are gone",
		Advice:  "if another program flushed the rules: farmc watch restores them, and logs the program"},
	RulesOther: {Kind: "rules", Object: "kernel", Effect: preflight.Harms,
		Message: "the kernel has other rules of farms than those loaded last",
		Advice:  "farmc watch restores the rules, and logs the program that changes them"},
	RulesBooted: {Kind: "rules", Object: "kernel", Effect: preflight.Harms,
		Message: "the kernel has the rules of the boot, without interfaces and source addresses",
		Advice:  "farmc watch loads the rest by itself"},
}

// pendingFinding is the finding about changes in the files, with the first one.
func pendingFinding(changes []string) *preflight.Finding {
	f := &preflight.Finding{Kind: "pending", Object: "files", Effect: preflight.Harms,
		Message:  "the files have a change that is not applied: " + changes[0],
		Commands: []string{"farmc apply"}, Advice: "farmc diff shows the changes"}
	if more := len(changes) - 1; more > 0 {
		f.Message = fmt.Sprintf("the files have %d changes that are not applied: %s; and so on", more+1, changes[0])
	}
	return f
}
