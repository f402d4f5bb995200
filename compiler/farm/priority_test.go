package farm

import (
	"net/netip"
	"strings"
	"testing"

	"farmc/compiler/addr"
)

// backendsOf reads "b1/1 b2/2/down": names, priorities and states.
func backendsOf(text string) []Backend {
	var out []Backend
	for _, word := range strings.Fields(text) {
		parts := strings.Split(word+"/up", "/")
		priority := int(parts[1][0] - '0')
		out = append(out, Backend{Name: parts[0], Priority: priority, State: State(parts[2]),
			Address: Addresses{netip.MustParseAddr("10.0.0.1")}})
	}
	return out
}

func TestServingByPriority(t *testing.T) {
	cases := []struct{ rule, backends, serve string }{
		{"all of one level serve", "b1/1 b2/1", "b1 b2"},
		{"the best level alone serves", "b1/2 b2/1 b3/3", "b2"},
		{"priorities are ranks", "b1/5 b2/9", "b1"},
		{"one down: the next level comes in", "b1/1/down b2/2 b3/9", "b2"},
		{"two down: the third comes in", "b1/1/down b2/2/down b3/9", "b3"},
		{"draining counts as down", "b1/1/drain b2/2", "b2"},
		{"those of the level that are up go on", "b1/1/down b2/1 b3/2", "b2 b3"},
		{"two of a level down: two further levels", "b1/1/down b2/1/down b3/2 b4/3 b5/4", "b3 b4"},
		{"a level that comes in brings its own that are down", "b1/1/down b2/2/down b3/2 b4/3 b5/4", "b3 b4"},
		{"what is down below the serving levels counts for nothing", "b1/1 b2/2/down b3/3", "b1"},
		{"none", "b1/1/down b2/2/drain", ""},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			f := Farm{Backends: backendsOf(c.backends)}
			var names []string
			for _, b := range f.Serving(addr.IP4) {
				names = append(names, b.Name)
			}
			if got := strings.Join(names, " "); got != c.serve {
				t.Errorf("%s: %q serve, not %q", c.backends, got, c.serve)
			}
		})
	}
}

// A backend without an address of the family is of no level there.
func TestServingByPriorityOfEachFamily(t *testing.T) {
	f := Farm{Backends: []Backend{
		{Name: "b1", Priority: 1, State: Up, Address: Addresses{netip.MustParseAddr("10.0.0.1")}},
		{Name: "b2", Priority: 2, State: Up, Address: Addresses{netip.MustParseAddr("10.0.0.2"),
			netip.MustParseAddr("fd00::2")}},
	}}
	if got := f.Serving(addr.IP6); len(got) != 1 || got[0].Name != "b2" {
		t.Errorf("of IPv6 %v serve, not b2", got)
	}
}
