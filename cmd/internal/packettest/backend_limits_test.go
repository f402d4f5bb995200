package packettest

import (
	"fmt"
	"strings"
	"testing"
)

// TestBackendLimits: backends get exactly as many connections at once as their limits allow.
func TestBackendLimits(t *testing.T) {
	t.Parallel()
	all := []testCase{}
	for _, mode := range []string{"snat", "dnat"} {
		for _, scheduler := range []string{"random", "round-robin", "hash", "symmetric-hash", "maglev"} {
			all = append(all, testCase{name: mode + "-" + scheduler, steps: steps{
				farms{"web": farmWithBackendLimits(fmt.Sprintf("mode = %q\nscheduler = %q", mode, scheduler), listen1,
					"4", "3", "")},
				fill{by: "udp", to: service1, more: 2},
				fill{by: "tcp", to: service1, until: shares{"b1": 4, "b2": 3}},
				refill{by: "tcp", to: service1, turns: 8},
			}})
		}
	}
	runCases(t, append(all, []testCase{
		// the third backend takes the remaining connections
		{name: "backend-without-limit-takes-the-rest", steps: steps{
			farms{"web": farmWithBackendLimits("", listen1, "2", "1",
				"[backends.b3]\naddress = ['10.2.0.13', 'fd00:2::13']\n")},
			fill{by: "tcp", to: service1, more: 30, until: shares{"b1": 2, "b2": 1, "b3": 27}},
			refill{by: "tcp", to: service1, turns: 6, except: "b3"},
		}},
		{name: "range", steps: steps{
			farms{"web": farmWithBackendLimits("", `"192.0.2.1:8000-8100/tcp,udp", "[2001:db8::1]:80,443/tcp,udp"`, "2",
				"2", "")},
			fill{by: "udp", to: "192.0.2.1:8000", more: 1},
			fill{by: "tcp", to: "192.0.2.1:8050 [2001:db8::1]:80 192.0.2.1:8000 [2001:db8::1]:443",
				until: shares{"b1": 2, "b2": 2}},
			refill{by: "tcp", to: "192.0.2.1:8050 [2001:db8::1]:80", turns: 6},
		}},
		{name: "whole-address", steps: steps{
			farms{"web": farmWithBackendLimits("", `"192.0.2.1/all", "2001:db8::1/all"`, "2", "3", "")},
			fill{by: "udp", to: service1, more: 1},
			fill{by: "tcp", to: service1, until: shares{"b1": 2, "b2": 3}},
			refill{by: "tcp", to: service1, turns: 6},
		}},
		{name: "any-address-and-local-clients", steps: steps{
			farms{"web": farmWithBackendLimits("local-clients = true", `"*:80/tcp,udp"`, "2", "3", "")},
			fill{by: "tcp", to: service1, until: shares{"b1": 2, "b2": 3}},
			refill{from: "balancer", by: "tcp", to: service1, turns: 6},
		}},
		// counts survive a load, and so does the limit of a backend that is drained meanwhile
		{name: "counts-survive-reload", steps: steps{
			farms{"web": farmWithBackendLimits("", listen1, "4", "3", "")},
			fill{by: "tcp udp", to: service1, until: shares{"b1": 4, "b2": 3}},
			farms{"web": farmWithBackendLimits("", listen1, "4", "3", ""),
				"mail": oneBackend("dnat", `"192.0.2.2:80"`, "b3", 0)},
			refused{by: "tcp udp", to: service1},
			farms{"web": farmWithBackendLimits("scheduler = 'hash'", listen1, "4", "3\nweight = 7", "")},
			refused{by: "tcp udp", to: service1},
			farms{"web": farmWithBackendLimits("", listen1, "4\nstate = 'drain'", "3", "")},
			refused{by: "tcp udp", to: service1},
			farms{"web": farmWithBackendLimits("", listen1, "4", "3", "")},
			refused{by: "tcp udp", to: service1}, echo{},
			// a changed limit starts a new count, for this backend only
			farms{"web": farmWithBackendLimits("", listen1, "5", "3", "")},
			fill{by: "tcp udp", to: service1, until: shares{"b1": 9, "b2": 3}},
			// a full backend without its limit takes new connections
			farms{"web": strings.Replace(farmWithBackendLimits("", listen1, "4", "3", ""), "connections = 4", "", 1)},
			eventually{request{by: "tcp udp", to: service1, shares: shares{"b1:80": 1}, sees: "balancer"}},
		}},
		// two farms with the same backends count separately
		{name: "two-farms-count-separately", steps: steps{
			farms{"web": farmWithBackendLimits("", listen1, "2", "3", ""),
				"mail": farmWithBackendLimits("", `"192.0.2.2:80/tcp", "[2001:db8::2]:80/tcp"`, "1", "1", "")},
			fill{by: "tcp", to: service1, until: shares{"b1": 2, "b2": 3}},
			fill{by: "tcp", to: "192.0.2.2:80 [2001:db8::2]:80", until: shares{"b1": 3, "b2": 4}},
		}},
		// backends of an unused priority take no connections
		{name: "unused-priority-takes-none", steps: steps{
			farms{"web": farmWithBackendLimits("", listen1, "2", "3",
				"[backends.b3]\naddress = ['10.2.0.13', 'fd00:2::13']\npriority = 2\n")},
			fill{by: "tcp udp", to: service1, until: shares{"b1": 2, "b2": 3}},
		}},
		// a known client uses another backend while its own is full, and its own afterwards
		{name: "known-client-returns-to-its-backend", steps: steps{
			farms{"web": farmWithBackendLimits("", listen1, "2", "3", "[persistence]\n")},
			addClients(map[string]string{"198.51.100.9": "10.2.0.11", "2001:db8:c::9": "100::a02:b"}),
			clientRequest{"198.51.100.9", "192.0.2.1:80", "b1"},
			clientRequest{"2001:db8:c::9", "[2001:db8::1]:80", "b1"},
			eventually{fill{by: "tcp", to: service1, until: shares{"b1": 2, "b2": 3}}},
			stepFunc(func(s *testbed) error { return s.closeOne("b2") }),
			eventually{clientRequest{"198.51.100.9", "192.0.2.1:80", "b2"}},
			eventually{clientRequest{"2001:db8:c::9", "[2001:db8::1]:80", "b2"}},
			stepFunc(func(s *testbed) error { return s.closeOne("b1") }),
			eventually{clientRequest{"198.51.100.9", "192.0.2.1:80", "b1"}},
			eventually{clientRequest{"2001:db8:c::9", "[2001:db8::1]:80", "b1"}},
		}},
	}...))
}

func farmWithBackendLimits(farm, listen, b1, b2, more string) string {
	return fmt.Sprintf(`
		%s
		listen = [%s]
		[backends.b1]
		address     = ["10.2.0.11", "fd00:2::11"]
		connections = %s
		[backends.b2]
		address     = ["10.2.0.12", "fd00:2::12"]
		connections = %s
		%s
	`, farm, listen, b1, b2, more)
}
