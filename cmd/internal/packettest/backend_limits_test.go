package packettest

import (
	"fmt"
	"strings"
	"testing"
)

// TestFullBackends: backends have as many connections at once as they may have, and not one more or less.
func TestFullBackends(t *testing.T) {
	t.Parallel()
	all := []scene{}
	for _, mode := range []string{"snat", "dnat"} {
		for _, scheduler := range []string{"random", "round-robin", "hash", "symmetric-hash", "maglev"} {
			all = append(all, scene{name: mode + "-" + scheduler, steps: steps{
				farms{"web": bounded(fmt.Sprintf("mode = %q\nscheduler = %q", mode, scheduler), listenBoth, "4", "3", "")},
				fill{by: "udp", to: both, more: 2},
				fill{by: "tcp", to: both, until: shares{"b1": 4, "b2": 3}},
				refill{by: "tcp", to: both, turns: 8},
			}})
		}
	}
	play(t, append(all, []scene{
		// the third takes what the others can't
		{name: "one-without-limit", steps: steps{
			farms{"web": bounded("", listenBoth, "2", "1", "[backends.b3]\naddress = ['10.2.0.13', 'fd00:2::13']\n")},
			fill{by: "tcp", to: both, more: 30, until: shares{"b1": 2, "b2": 1, "b3": 27}},
			refill{by: "tcp", to: both, turns: 6, except: "b3"},
		}},
		{name: "range", steps: steps{
			farms{"web": bounded("", `"192.0.2.1:8000-8100/tcp,udp", "[2001:db8::1]:80,443/tcp,udp"`, "2", "2", "")},
			fill{by: "udp", to: "192.0.2.1:8000", more: 1},
			fill{by: "tcp", to: "192.0.2.1:8050 [2001:db8::1]:80 192.0.2.1:8000 [2001:db8::1]:443", until: shares{"b1": 2, "b2": 2}},
			refill{by: "tcp", to: "192.0.2.1:8050 [2001:db8::1]:80", turns: 6},
		}},
		{name: "whole-address", steps: steps{
			farms{"web": bounded("", `"192.0.2.1", "2001:db8::1"`, "2", "3", "")},
			fill{by: "udp", to: both, more: 1},
			fill{by: "tcp", to: both, until: shares{"b1": 2, "b2": 3}},
			refill{by: "tcp", to: both, turns: 6},
		}},
		{name: "any-address-and-local-clients", steps: steps{
			farms{"web": bounded("local-clients = true", `"*:80/tcp,udp"`, "2", "3", "")},
			fill{by: "tcp", to: both, until: shares{"b1": 2, "b2": 3}},
			refill{from: "balancer", by: "tcp", to: both, turns: 6},
		}},
		// counts outlive a load, and so does the limit of a backend that is drained meanwhile
		{name: "reload", steps: steps{
			farms{"web": bounded("", listenBoth, "4", "3", "")},
			fill{by: "tcp udp", to: both, until: shares{"b1": 4, "b2": 3}},
			farms{"web": bounded("", listenBoth, "4", "3", ""), "mail": one("dnat", `"192.0.2.2:80"`, "b3", 0)},
			refused{by: "tcp udp", to: both},
			farms{"web": bounded("scheduler = 'hash'", listenBoth, "4", "3\nweight = 7", "")},
			refused{by: "tcp udp", to: both},
			farms{"web": bounded("", listenBoth, "4\nstate = 'drain'", "3", "")},
			refused{by: "tcp udp", to: both},
			farms{"web": bounded("", listenBoth, "4", "3", "")},
			refused{by: "tcp udp", to: both}, echo{},
			// where a limit is changed the count begins anew, but for the other backend
			farms{"web": bounded("", listenBoth, "5", "3", "")},
			fill{by: "tcp udp", to: both, until: shares{"b1": 9, "b2": 3}},
			// without its limit a full backend takes what comes
			farms{"web": strings.Replace(bounded("", listenBoth, "4", "3", ""), "connections = 4", "", 1)},
			eventually{ask{by: "tcp udp", to: both, shares: shares{"b1:80": 1}, sees: "balancer"}},
		}},
		// of two farms with the same backends each counts its own
		{name: "two-farms", steps: steps{
			farms{"web": bounded("", listenBoth, "2", "3", ""), "mail": bounded("", `"192.0.2.2:80/tcp", "[2001:db8::2]:80/tcp"`, "1", "1", "")},
			fill{by: "tcp", to: both, until: shares{"b1": 2, "b2": 3}},
			fill{by: "tcp", to: "192.0.2.2:80 [2001:db8::2]:80", until: shares{"b1": 3, "b2": 4}},
		}},
		// backends of a level that isn't needed take none
		{name: "priority", steps: steps{
			farms{"web": bounded("", listenBoth, "2", "3", "[backends.b3]\naddress = ['10.2.0.13', 'fd00:2::13']\npriority = 2\n")},
			fill{by: "tcp udp", to: both, until: shares{"b1": 2, "b2": 3}},
		}},
		// a known client goes elsewhere while its backend is full, and back afterwards
		{name: "persistence", steps: steps{
			farms{"web": bounded("", listenBoth, "2", "3", "[persistence]\n")},
			known(map[string]string{"198.51.100.9": "10.2.0.11", "2001:db8:c::9": "100::a02:b"}),
			asOnce{"198.51.100.9", "192.0.2.1:80", "b1"}, asOnce{"2001:db8:c::9", "[2001:db8::1]:80", "b1"},
			eventually{fill{by: "tcp", to: both, until: shares{"b1": 2, "b2": 3}}},
			deed(func(s *stage) error { return s.hangUp("b2") }),
			eventually{asOnce{"198.51.100.9", "192.0.2.1:80", "b2"}}, eventually{asOnce{"2001:db8:c::9", "[2001:db8::1]:80", "b2"}},
			deed(func(s *stage) error { return s.hangUp("b1") }),
			eventually{asOnce{"198.51.100.9", "192.0.2.1:80", "b1"}}, eventually{asOnce{"2001:db8:c::9", "[2001:db8::1]:80", "b1"}},
		}},
	}...))
}

func bounded(farm, listen, b1, b2, more string) string {
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
