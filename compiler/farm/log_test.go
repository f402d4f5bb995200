package farm

import (
	"strings"
	"testing"
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

// TestShortNames: names of more than 48 characters are cut in lines of the log, and stay different.
func TestShortNames(t *testing.T) {
	t.Parallel()
	fits, long := strings.Repeat("a", 48), strings.Repeat("a", 96)
	if ShortName(fits) != fits {
		t.Errorf("%q is cut to %q", fits, ShortName(fits))
	}
	if a, b := ShortName(long), ShortName(long[1:]); a == b || len(a) != 48 || IsName(a) {
		t.Errorf("got %q and %q", a, b)
	}
	f := &Farm{Name: long}
	got := f.LogPrefix(LogEvent{On: OnDenied, Reason: "denied", List: strings.Repeat("b", 96)})
	if want := ShortName(long) + " denied " + ShortName(strings.Repeat("b", 96)) + " "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if len(got) > longestPrefix {
		t.Errorf("%q has %d characters", got, len(got))
	}
}
