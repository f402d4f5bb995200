package announce

import (
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"farmc/cmd/internal/testmachine"
)

func TestMain(m *testing.M) { testmachine.Main(m) }

// TestTable writes routes of both families as ip(8) shows them, and leaves routes and rules of others.
func TestTable(t *testing.T) {
	ip(t, "link set lo up")
	ip(t, "route add blackhole 203.0.113.9 table 251 proto static")
	ip(t, "rule add pref 999 lookup 77")
	ip(t, "rule add pref 1000 lookup 77 suppress_prefixlength 0")
	ip(t, "rule add pref 1000 lookup 251 suppress_prefixlength 0 proto 0") // of farmc up to 0.2.0
	all := routes("0.0.0.0/0", "192.0.2.1/32", "198.51.100.0/28", "::/0", "2001:db8::1/128")
	testmachine.Must(t, DefaultTable.Add(all), DefaultTable.Add(all))
	checkRoutes(t, all)
	for _, family := range []string{"-4", "-6"} {
		rules, rule := ip(t, family+" rule"), "1000:\tfrom all lookup 251 suppress_prefixlength 0"
		if strings.Count(rules, rule) != 1 || !strings.Contains(rules, rule+" proto 251") {
			t.Errorf("the rules are\n%s", rules)
		}
	}
	shown := ip(t, "-4 route show table 251 proto 251") + ip(t, "-6 route show table 251 proto 251")
	for _, want := range []string{"default dev lo scope link", "blackhole 192.0.2.1", "blackhole 198.51.100.0/28",
		"default dev lo", "blackhole 2001:db8::1 "} {
		if !strings.Contains(shown, want) {
			t.Errorf("no %q in\n%s", want, shown)
		}
	}
	testmachine.Must(t, DefaultTable.Remove(all[1:2]), DefaultTable.Remove(all[1:2]))
	checkRoutes(t, Without(all, all[1:2]))
	testmachine.Must(t, DefaultTable.Clear(), DefaultTable.Clear())
	checkRoutes(t, nil)
	if left := ip(t, "route show table 251") + ip(t, "rule"); !strings.Contains(left, "203.0.113.9") ||
		strings.Count(left, "lookup 77") != 2 || strings.Contains(left, "lookup 251") {
		t.Errorf("left is\n%s", left)
	}
}

// TestPacketsVanish: without rules of farmc a packet to an announced address ends here, also where a default route
// leads elsewhere, and other packets take their way.
func TestPacketsVanish(t *testing.T) {
	ip(t, "link set lo up")
	ip(t, "link add e0 type veth peer name e1")
	ip(t, "address add 10.0.0.1/24 dev e0")
	ip(t, "link set e0 up")
	ip(t, "link set e1 up")
	ip(t, "route add default via 10.0.0.2")
	testmachine.Must(t, DefaultTable.Add(routes("0.0.0.0/0", "192.0.2.1/32")))
	t.Cleanup(func() { DefaultTable.Clear() })
	if out, err := exec.Command("ip", "route", "get", "192.0.2.1").CombinedOutput(); err == nil {
		t.Errorf("192.0.2.1 has a way: %s", out)
	}
	if way := ip(t, "route get 192.0.2.2"); !strings.Contains(way, "via 10.0.0.2 dev e0") {
		t.Errorf("the way to 192.0.2.2 is %s", way)
	}
}

func checkRoutes(t *testing.T, want []Route) {
	t.Helper()
	if got, err := DefaultTable.Routes(); err != nil || !slices.Equal(got, want) {
		t.Errorf("routes are %v (%v), want %v", got, err, want)
	}
}

func routes(texts ...string) (out []Route) {
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return sorted(out)
}

func ip(t *testing.T, args string) string {
	t.Helper()
	out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %s: %v\n%s", args, err, out)
	}
	return string(out)
}
