package compiler

import (
	"testing"

	"farmc/compiler/diag"
	"farmc/compiler/toml"
)

func TestPrefix(t *testing.T) {
	t.Parallel()
	denied := LogEvent{On: OnDenied, Reason: "denied", List: "spamhaus"}
	for _, c := range []struct {
		prefix string
		of     LogEvent
		want   string
	}{
		{"", LogEvent{On: OnInput, Reason: "input"}, "web input "},
		{"", denied, "web denied spamhaus "},
		{"", LogEvent{On: OnDenied, Reason: "denied", List: InlineList}, "web denied inline "},
		{"", LogEvent{On: OnLimited, Reason: "new-per-client"}, "web limited new-per-client "},
		{"", LogEvent{On: OnForward, Reason: "forward", Backend: "b1"}, "web forward b1 "},
		{"{reason} {list} of {farm}:", denied, "denied spamhaus of web: "},
		{"{farm}/{farm}: ", denied, "web/web: "},
	} {
		f := &Farm{Name: "web", Log: Log{On: Occasions, Prefix: c.prefix}}
		if got := f.LogPrefix(c.of); got != c.want {
			t.Errorf("prefix %q of %+v: got %q, want %q", c.prefix, c.of, got, c.want)
		}
	}
}

// TestLogRulesShareTheirLimit: the rules of several chains share the limit of their farm and occasion.
func TestLogRulesShareTheirLimit(t *testing.T) {
	t.Parallel()
	s := &service{Farm: &Farm{Name: "web", Log: Log{On: []Occasion{OnDenied}, Rate: toml.Rate{Count: 2, Per: "minute"}}}}
	l := newLinker(&diag.Diagnostics{})
	first := l.logRule(s, LogEvent{On: OnDenied, Reason: "denied", List: "spamhaus"})
	second := l.logRule(s, LogEvent{On: OnDenied, Reason: "denied", List: InlineList})
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
	if r := l.logRule(s, LogEvent{On: OnLimited, Reason: "new"}); r != nil {
		t.Errorf("an occasion that the farm does not name is logged: %v", r)
	}
}
