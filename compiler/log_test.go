package compiler

import "testing"

func TestPrefix(t *testing.T) {
	t.Parallel()
	denied := event{on: OnDenied, reason: "denied", list: "spamhaus"}
	for _, c := range []struct {
		prefix string
		of     event
		want   string
	}{
		{"", event{on: OnInput, reason: "input"}, "web input "},
		{"", denied, "web denied spamhaus "},
		{"", event{on: OnDenied, reason: "denied", list: inlineList}, "web denied inline "},
		{"", event{on: OnLimited, reason: "new-per-client"}, "web limited new-per-client "},
		{"", event{on: OnForward, reason: "forward", backend: "b1"}, "web forward b1 "},
		{"{reason} {list} of {farm}:", denied, "denied spamhaus of web: "},
		{"{farm}/{farm}: ", denied, "web/web: "},
	} {
		f := &Farm{Name: "web", Log: Log{On: Occasions, Prefix: c.prefix}}
		if got := f.prefixOf(c.of); got != c.want {
			t.Errorf("prefix %q of %+v: got %q, want %q", c.prefix, c.of, got, c.want)
		}
	}
}

// TestWrite: rules of several chains share the bucket of their farm and occasion, in each table.
func TestWrite(t *testing.T) {
	t.Parallel()
	f := &Farm{Name: "web", Log: Log{On: []Occasion{OnDenied}, Rate: Rate{2, "minute"}}}
	var l linker
	first := l.write(f, false, event{on: OnDenied, reason: "denied", list: "spamhaus"})
	second := l.write(f, false, event{on: OnDenied, reason: "denied", list: inlineList})
	atIngress := l.write(f, true, event{on: OnDenied, reason: "denied", list: inlineList})
	for _, r := range []*logRule{first, second, atIngress} {
		if r.Limit != "farm/web/log-denied" {
			t.Errorf("the bucket is %s", r.Limit)
		}
	}
	if first.Prefix == second.Prefix {
		t.Errorf("both lists are told of as %q", first.Prefix)
	}
	if len(l.rules.logLimits) != 1 || len(l.rules.ingressLogLimits) != 1 || l.rules.logLimits[0].Rate != f.Log.Rate {
		t.Errorf("buckets %v and %v", l.rules.logLimits, l.rules.ingressLogLimits)
	}
	if r := l.write(f, false, event{on: OnLimited, reason: "new"}); r != nil {
		t.Errorf("what isn't asked for is written: %v", r)
	}
}
