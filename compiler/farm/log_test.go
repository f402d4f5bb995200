package farm

import "testing"

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
