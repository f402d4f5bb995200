package diag

import (
	"fmt"
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	keys := []string{"access", "backends", "description", "flow-offload", "hash-on", "helper", "interfaces", "invalid",
		"limits", "listen", "local-clients", "log", "mark", "mode", "persistence", "queue", "scheduler",
		"source-address", "state", "table-size"}
	for _, test := range []struct{ word, want string }{
		{"listen", "listen"},
		{"lisen", "listen"},
		{"listn", "listen"},
		{"litsen", "listen"},
		{"listens", "listen"},
		{"shceduler", "scheduler"},
		{"schedular", "scheduler"},
		{"source_address", "source-address"},
		{"local-client", "local-clients"},
		{"localclients", "local-clients"},
		{"backend", "backends"},
		{"Listen", "listen"},
		{"limit", "limits"},
		{"mod", "mode"},
		{"colour", ""},
		{"health", ""},
		{"a", ""},
		{"", ""},
		{"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", ""},
	} {
		if got := Nearest(test.word, keys); got != test.want {
			t.Errorf("%q: got %q, want %q", test.word, got, test.want)
		}
	}
}

// A list of options ends before the line is long.
func TestSuggest(t *testing.T) {
	names := func(n int) (names []string) {
		for i := range n {
			names = append(names, fmt.Sprintf("backend-%05d", i))
		}
		return names
	}
	for _, test := range []struct {
		rule    string
		word    string
		options []string
		want    string
	}{
		{"near", "litsen", []string{"limits", "listen"}, `did you mean "listen"?`},
		{"none", "colour", nil, ""},
		{"few", "colour", []string{"limits", "listen"}, "one of limits, listen"},
		{"just-right", "x", names(8), "one of " + strings.Join(names(8), ", ")},
		{"many", "x", names(20000), "one of " + strings.Join(names(8), ", ") + " and 19992 others"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			if got := Suggest(test.word, test.options); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"a", "a", 0}, {"a", "b", 1}, {"ab", "ba", 1}, {"abc", "ca", 3},
		{"kitten", "sitting", 3}, {"dant", "dnat", 1}, {"listen", "silent", 4},
	} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("%q, %q: got %d, want %d", test.a, test.b, got, test.want)
		}
		if got := distance(test.b, test.a); got != test.want {
			t.Errorf("%q, %q: got %d, want %d", test.b, test.a, got, test.want)
		}
	}
}
