package live

import (
	"context"
	"fmt"

	"farmc/cmd/internal/preflight"
)

// Disagreement finds a kernel that has other rules than the last load, and changes in the files that are not applied.
// Without a load, or if the kernel cannot be read, there is no finding.
func (e *Engine) Disagreement(ctx context.Context) (found preflight.Findings) {
	defer e.exclusive()()
	now := e.compile()
	last, _, err := e.lastLoadedAs(now)
	if err != nil {
		return nil
	}
	if rules, err := e.rules(ctx, last); err == nil && rulesFindings[rules].Kind != "" {
		f := rulesFindings[rules]
		f.Commands = []string{"farmc apply"}
		found = append(found, &f)
	}
	s := newStatus()
	s.setFaults(now)
	s.setPending(last, now, "")
	if len(s.Pending) > 0 {
		found = append(found, pendingFinding(s.Pending))
	}
	return found
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
