package packettest

import (
	"strings"

	"farmc/cmd/internal/netlab"
)

// refusalScenes: the only farm that there is loses its last backend. New connections are refused at once, open ones
// go on, and when another backend comes in new ones work again. It holds wherever the address lives, and whatever
// became of the backend.
func refusalScenes() []scene {
	all := []scene{
		{name: "refused-whole-address", steps: steps{
			farms{"web": one("dnat", `"192.0.2.1", "2001:db8::1"`, "b1", 0)},
			hold{by: "tcp", to: both},
			farms{"web": one("dnat", `"192.0.2.1", "2001:db8::1"`, "b1", 0) + `state = "drain"`},
			refused{by: "tcp udp", to: both},
			refused{by: "tcp udp", to: "192.0.2.1:9 [2001:db8::1]:9"},
			refusedPings{"192.0.2.1 2001:db8::1"},
			echo{},
			farms{"web": one("dnat", `"192.0.2.1", "2001:db8::1"`, "b2", 0)},
			ask{by: "tcp udp", to: both, shares: shares{"b2:80": 1}},
			pings{to: "192.0.2.1 2001:db8::1", shares: shares{"b2": 1}},
			echo{},
		}},
		{name: "refused-range", steps: steps{
			farms{"web": one("snat", `"192.0.2.1:8000-8100/tcp,udp", "[2001:db8::1]:8000-8100/tcp,udp"`, "b1", 0) + `state = "down"`},
			refused{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050"},
			ask{by: "tcp udp", to: both, shares: shares{"balancer:80": 1}},
		}},
		{name: "refused-any-address", steps: steps{
			farms{"web": one("snat", `"*:80,8001-8099/tcp,udp"`, "b1", 0)},
			hold{by: "tcp", to: both},
			farms{"web": one("snat", `"*:80,8001-8099/tcp,udp"`, "b1", 0) + `state = "drain"`},
			refused{by: "tcp udp", to: both + " 203.0.113.1:80 [2001:db8:f::1]:80 192.0.2.1:8050 [2001:db8::1]:8050"},
			ask{by: "tcp udp", to: "192.0.2.1:8000 [2001:db8::1]:8000", shares: shares{"balancer:8000": 1}},
			ask{by: "tcp udp", to: "10.2.0.13:80 [fd00:2::13]:80", shares: shares{"b3:80": 1}},
			ask{from: "balancer", by: "tcp udp", to: both, shares: shares{"balancer:80": 1}, sees: "192.0.2.1 2001:db8::1"},
			echo{},
			farms{"web": withoutBackends("snat", `"*:80,8001-8099/tcp,udp"`)},
			refused{by: "tcp udp", to: both},
			echo{},
		}},
		{name: "refused-to-local-clients", steps: steps{
			farms{"web": one("snat", listenBoth, "b1", 8081, "local-clients = true")},
			hold{from: "balancer", by: "tcp", to: both},
			farms{"web": one("snat", listenBoth, "b1", 8081, "local-clients = true") + `state = "drain"`},
			refused{from: "balancer", by: "tcp udp", to: both},
			refused{by: "tcp udp", to: both},
			echo{},
			farms{"web": one("snat", listenBoth, "b2", 8081, "local-clients = true")},
			ask{from: "balancer", by: "tcp udp", to: both, shares: shares{"b2:8081": 1}, sees: "balancer"},
			echo{},
		}},
		{name: "refused-to-local-clients-of-a-routed-address", lab: netlab.Options{NoVIPs: true}, steps: steps{
			outward,
			farms{"web": one("snat", listenBoth, "b1", 8081, "local-clients = true") + `state = "down"`},
			refused{from: "balancer", by: "tcp udp", to: both},
			refused{by: "tcp udp", to: both},
		}},
		// none of its clients are here, so the machine itself answers those that are
		{name: "refused-but-not-to-local-clients", steps: steps{
			farms{"web": one("snat", listenBoth, "b1", 8081) + `state = "down"`},
			refused{by: "tcp udp", to: both},
			ask{from: "balancer", by: "tcp udp", to: both, shares: shares{"balancer:80": 1}, sees: "192.0.2.1 2001:db8::1"},
		}},
		{name: "refused-beside-another-farm", steps: steps{
			farms{"web": one("snat", listenBoth, "b1", 8081) + `state = "down"`,
				"whole": one("dnat", `"192.0.2.1", "2001:db8::1"`, "b2", 0)},
			refused{by: "tcp udp", to: both},
			ask{by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"b2:443": 1}},
		}},
	}
	for _, mode := range []string{"snat", "dnat"} {
		for _, where := range []struct {
			name string
			lab  netlab.Options
		}{{"local", netlab.Options{}}, {"routed", netlab.Options{NoVIPs: true}}} {
			sees := map[string]string{"snat": "balancer", "dnat": ""}[mode]
			all = append(all, scene{name: strings.Join([]string{"refused", mode, where.name}, "-"), lab: where.lab, steps: steps{
				farms{"web": one(mode, listenBoth, "b1", 8081)},
				hold{by: "tcp", to: both},
				ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 1}, sees: sees},

				farms{"web": one(mode, listenBoth, "b1", 8081) + `state = "drain"`},
				refused{by: "tcp udp", to: both},
				echo{},
				farms{"web": one(mode, listenBoth, "b2", 8081)},
				ask{by: "tcp udp", to: both, shares: shares{"b2:8081": 1}, sees: sees},
				echo{},

				farms{"web": withoutBackends(mode, listenBoth)},
				refused{by: "tcp udp", to: both},
				echo{},
				farms{"web": one(mode, listenBoth, "b3", 8081)},
				ask{by: "tcp udp", to: both, shares: shares{"b3:8081": 1}, sees: sees},
				echo{},

				farms{"web": one(mode, listenBoth, "b3", 8081) + `state = "drain"`},
				refused{by: "tcp udp", to: both},
				echo{},
			}})
		}
	}
	return all
}

// withoutBackends is a farm whose last backend was taken out of the file.
func withoutBackends(mode, listen string) string {
	return `
		mode   = "` + mode + `"
		listen = [` + listen + `]
		[backends]
	`
}
