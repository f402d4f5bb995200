package ruleset

import (
	"testing"

	"farmc/compiler/diag"
	"farmc/compiler/farm"
	"farmc/compiler/toml"
)

// TestLogRulesShareTheirLimit: the rules of several chains share the limit of their farm and occasion.
func TestLogRulesShareTheirLimit(t *testing.T) {
	t.Parallel()
	log := farm.Log{On: []farm.Occasion{farm.OnDenied}, Rate: toml.Rate{Count: 2, Per: "minute"}}
	s := &service{Farm: &farm.Farm{Name: "web", Log: log}}
	l := newLinker(Machine{}, &diag.Diagnostics{})
	first := l.logRule(s, farm.LogEvent{On: farm.OnDenied, Reason: "denied", List: "spamhaus"})
	second := l.logRule(s, farm.LogEvent{On: farm.OnDenied, Reason: "denied", List: farm.InlineList})
	for _, r := range []*logRule{first, second} {
		if r.Limit != "farm/web/log-denied" {
			t.Errorf("the limit is %s", r.Limit)
		}
	}
	if first.Prefix == second.Prefix {
		t.Errorf("both lists are logged as %q", first.Prefix)
	}
	if limits := dataOf[logLimit](&l.rules); len(limits) != 1 || limits[0].Rate != s.Log.Rate {
		t.Errorf("limits %v", limits)
	}
	if r := l.logRule(s, farm.LogEvent{On: farm.OnLimited, Reason: "new"}); r != nil {
		t.Errorf("an occasion that the farm does not name is logged: %v", r)
	}
}
