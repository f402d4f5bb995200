package packettest

import (
	"strings"

	"farmc/cmd/internal/netlab"
)

// refusalCases: the only farm loses its last backend. New connections are refused at once, open connections go on, and
// new connections work again with another backend. This holds wherever the service address is, and for every reason.
func refusalCases() []testCase {
	all := []testCase{
		{name: "refused-whole-address", steps: steps{
			farms{"web": oneBackend("dnat", `"192.0.2.1/all", "2001:db8::1/all"`, "b1", 0)},
			hold{by: "tcp", to: service1},
			farms{"web": oneBackend("dnat", `"192.0.2.1/all", "2001:db8::1/all"`, "b1", 0) + `state = "drain"`},
			refused{by: "tcp udp", to: service1},
			refused{by: "tcp udp", to: "192.0.2.1:9 [2001:db8::1]:9"},
			refusedPings{"192.0.2.1 2001:db8::1"},
			echo{},
			farms{"web": oneBackend("dnat", `"192.0.2.1/all", "2001:db8::1/all"`, "b2", 0)},
			request{by: "tcp udp", to: service1, shares: shares{"b2:80": 1}},
			pings{to: "192.0.2.1 2001:db8::1", shares: shares{"b2": 1}},
			echo{},
		}},
		{name: "refused-range", steps: steps{
			farms{"web": oneBackend("snat", `"192.0.2.1:8000-8100/tcp,udp", "[2001:db8::1]:8000-8100/tcp,udp"`, "b1",
				0) + `state = "down"`},
			refused{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050"},
			request{by: "tcp udp", to: service1, shares: shares{"balancer:80": 1}},
		}},
		{name: "refused-any-address", steps: steps{
			farms{"web": oneBackend("snat", `"*:80,8001-8099/tcp,udp"`, "b1", 0, remoteOnly)},
			hold{by: "tcp", to: service1},
			farms{"web": oneBackend("snat", `"*:80,8001-8099/tcp,udp"`, "b1", 0, remoteOnly) + `state = "drain"`},
			refused{by: "tcp udp", to: service1 +
				" 203.0.113.1:80 [2001:db8:f::1]:80 192.0.2.1:8050 [2001:db8::1]:8050"},
			request{by: "tcp udp", to: "192.0.2.1:8000 [2001:db8::1]:8000", shares: shares{"balancer:8000": 1}},
			request{by: "tcp udp", to: "10.2.0.13:80 [fd00:2::13]:80", shares: shares{"b3:80": 1}},
			request{from: "balancer", by: "tcp udp", to: service1, shares: shares{"balancer:80": 1},
				sees: "192.0.2.1 2001:db8::1"},
			echo{},
			farms{"web": farmWithoutBackends("snat", `"*:80,8001-8099/tcp,udp"`)},
			refused{by: "tcp udp", to: service1},
			echo{},
		}},
		{name: "refused-to-local-clients", steps: steps{
			farms{"web": oneBackend("snat", listen1, "b1", 8081, "local-clients = true")},
			hold{from: "balancer", by: "tcp", to: service1},
			farms{"web": oneBackend("snat", listen1, "b1", 8081, "local-clients = true") + `state = "drain"`},
			refused{from: "balancer", by: "tcp udp", to: service1},
			refused{by: "tcp udp", to: service1},
			echo{},
			farms{"web": oneBackend("snat", listen1, "b2", 8081, "local-clients = true")},
			request{from: "balancer", by: "tcp udp", to: service1, shares: shares{"b2:8081": 1}, sees: "balancer"},
			echo{},
		}},
		{name: "refused-to-local-clients-of-a-routed-address", lab: netlab.Options{NoVIPs: true}, steps: steps{
			addDefaultRoutes,
			farms{"web": oneBackend("snat", listen1, "b1", 8081, "local-clients = true") + `state = "down"`},
			refused{from: "balancer", by: "tcp udp", to: service1},
			refused{by: "tcp udp", to: service1},
		}},
		// the farm's clients are not local, so the balancer itself answers local requests
		{name: "refused-but-not-to-local-clients", steps: steps{
			farms{"web": oneBackend("snat", listen1, "b1", 8081, remoteOnly) + `state = "down"`},
			refused{by: "tcp udp", to: service1},
			request{from: "balancer", by: "tcp udp", to: service1, shares: shares{"balancer:80": 1},
				sees: "192.0.2.1 2001:db8::1"},
		}},
		{name: "refused-beside-another-farm", steps: steps{
			farms{"web": oneBackend("snat", listen1, "b1", 8081) + `state = "down"`,
				"whole": oneBackend("dnat", `"192.0.2.1/all", "2001:db8::1/all"`, "b2", 0)},
			refused{by: "tcp udp", to: service1},
			request{by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"b2:443": 1}},
		}},
	}
	for _, mode := range []string{"snat", "dnat"} {
		for _, where := range []struct {
			name string
			lab  netlab.Options
		}{{"local", netlab.Options{}}, {"routed", netlab.Options{NoVIPs: true}}} {
			sees := map[string]string{"snat": "balancer", "dnat": ""}[mode]
			all = append(all, testCase{name: strings.Join([]string{"refused", mode, where.name}, "-"), lab: where.lab,
				steps: steps{
					farms{"web": oneBackend(mode, listen1, "b1", 8081)},
					hold{by: "tcp", to: service1},
					request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}, sees: sees},

					farms{"web": oneBackend(mode, listen1, "b1", 8081) + `state = "drain"`},
					refused{by: "tcp udp", to: service1},
					echo{},
					farms{"web": oneBackend(mode, listen1, "b2", 8081)},
					request{by: "tcp udp", to: service1, shares: shares{"b2:8081": 1}, sees: sees},
					echo{},

					farms{"web": farmWithoutBackends(mode, listen1)},
					refused{by: "tcp udp", to: service1},
					echo{},
					farms{"web": oneBackend(mode, listen1, "b3", 8081)},
					request{by: "tcp udp", to: service1, shares: shares{"b3:8081": 1}, sees: sees},
					echo{},

					farms{"web": oneBackend(mode, listen1, "b3", 8081) + `state = "drain"`},
					refused{by: "tcp udp", to: service1},
					echo{},
				}})
		}
	}
	return all
}

// farmWithoutBackends is a farm whose last backend was removed from the file.
func farmWithoutBackends(mode, listen string) string {
	return `
		mode   = "` + mode + `"
		listen = [` + listen + `]
		[backends]
	`
}
