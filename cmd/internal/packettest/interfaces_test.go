package packettest

import (
	"fmt"
	"strings"
	"testing"
)

// TestInterfaces: a farm with interfaces serves packets that arrive there, and ignores packets on other interfaces.
func TestInterfaces(t *testing.T) {
	t.Parallel()
	runCases(t, interfaceCases())
	runCases(t, symmetricHashCases())
}

// kindsOfFrontends are one service for each kind of frontend in listenAllKinds.
var kindsOfFrontends = []string{service1, "192.0.2.1:8050 [2001:db8::1]:8050", service2}

func interfaceCases() (all []testCase) {
	for _, mode := range []struct{ name, sees string }{{"snat", "balancer"}, {"dnat", ""}} {
		for _, scheduler := range []string{"random", "round-robin", "hash", "symmetric-hash", "maglev"} {
			farm := func(interfaces string, more ...string) farms {
				return farms{"web": oneBackend(mode.name, listenAllKinds, "b1", 0,
					append(more, "interfaces = "+interfaces, fmt.Sprintf("scheduler = %q", scheduler))...)}
			}
			c := testCase{name: strings.Join([]string{"interfaces", mode.name, scheduler}, "-")}
			for _, to := range kindsOfFrontends {
				port := to[strings.LastIndex(to, ":")+1:]
				served := request{by: "tcp udp", to: to, shares: shares{"b1:" + port: 1}, sees: mode.sees}
				alone := request{by: "tcp udp", to: to, shares: shares{"balancer:" + port: 1}}
				fromHere := request{from: "balancer", by: "tcp udp", to: to, shares: shares{"balancer:" + port: 1},
					sees: strings.NewReplacer(":"+port, "", "[", "", "]", "").Replace(to)}
				inside := alone
				inside.from = "b3"
				c.steps = append(c.steps,
					farm(`["eth0"]`), served, inside, fromHere,
					farm(`["eth0", "eth7"]`), served, inside,
					farm(`["eth1"]`), alone, fromHere)
			}
			all = append(all, c)
		}
	}
	return append(all, []testCase{
		{name: "interfaces-from-inside", steps: steps{
			farms{"web": oneBackend("snat", listenAllKinds, "b1", 0, `interfaces = ["eth1"]`)},
			request{from: "b3", by: "tcp udp", to: service1, shares: shares{"b1:80": 1}, sees: "balancer"},
			request{by: "tcp udp", to: service1, shares: shares{"balancer:80": 1}},
			farms{"web": oneBackend("snat", listenAllKinds, "b1", 0, `interfaces = ["eth1", "eth0"]`)},
			request{from: "b3", by: "tcp udp", to: service1, shares: shares{"b1:80": 1}, sees: "balancer"},
			request{by: "tcp udp", to: service1, shares: shares{"b1:80": 1}, sees: "balancer"},
		}},
		{name: "interfaces-and-local-clients", steps: steps{
			farms{"web": oneBackend("snat", listenAllKinds, "b1", 0, `interfaces = ["eth0"]`, "local-clients = true")},
			request{from: "balancer", by: "tcp udp", to: service1 + " " + service2, shares: shares{"b1:80": 1},
				sees: "balancer"},
			request{by: "tcp udp", to: service1, shares: shares{"b1:80": 1}, sees: "balancer"},
			request{from: "b3", by: "tcp udp", to: service1, shares: shares{"balancer:80": 1}},
		}},
		{name: "interfaces-of-any-address", steps: steps{
			farms{"web": oneBackend("snat", `"*:80,8000-8100/tcp,udp"`, "b1", 0, `interfaces = ["eth0"]`)},
			request{by: "tcp udp", to: service1, shares: shares{"b1:80": 1}, sees: "balancer"},
			request{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b1:8050": 1},
				sees: "balancer"},
			request{from: "b3", by: "tcp udp", to: service1, shares: shares{"balancer:80": 1}},
			request{from: "b3", by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050",
				shares: shares{"balancer:8050": 1}},
		}},
		{name: "interfaces-without-backend", steps: steps{
			farms{"web": oneBackend("dnat", listenAllKinds, "b1", 0, `interfaces = ["eth0"]`) + `state = "down"`},
			refused{by: "tcp udp", to: service1 + " " + service2},
			request{from: "b3", by: "tcp udp", to: service1 + " " + service2, shares: shares{"balancer:80": 1}},
		}},
		{name: "interfaces-beside-another-farm", steps: steps{
			farms{
				"port": oneBackend("snat", `"192.0.2.2:80/tcp,udp", "[2001:db8::2]:80/tcp,udp"`, "b1", 0,
					`interfaces = ["eth0"]`),
				"other": oneBackend("snat", `"192.0.2.3:80/tcp,udp", "[2001:db8::3]:80/tcp,udp"`, "b2", 0),
			},
			request{by: "tcp udp", to: service2, shares: shares{"b1:80": 1}, sees: "balancer"},
			request{from: "b3", by: "tcp udp", to: service2, shares: shares{"balancer:80": 1}},
			request{from: "b3", by: "tcp udp", to: "192.0.2.3:80 [2001:db8::3]:80", shares: shares{"b2:80": 1},
				sees: "balancer"},
		}},
		// by other interfaces the packets of the port reach this machine, but by a farm without connection tracking the
		// more general farm
		{name: "interfaces-inside-a-more-general-farm", steps: steps{
			farms{
				"port": oneBackend("snat", `"192.0.2.3:443/tcp,udp", "[2001:db8::3]:443/tcp,udp"`, "b1", 0,
					`interfaces = ["eth1"]`),
				"all": oneBackend("snat", listenWhole3, "b2", 0),
			},
			request{from: "b3", by: "tcp udp", to: service3At443, shares: shares{"b1:443": 1}, sees: "balancer"},
			request{by: "tcp udp", to: service3At443, shares: shares{"balancer:443": 1}},
			request{by: "tcp udp", to: service3, shares: shares{"b2:80": 1}, sees: "balancer"},
			farms{
				"port": oneBackend("stateless", `"192.0.2.3:443/tcp,udp", "[2001:db8::3]:443/tcp,udp"`, "b1", 0,
					`interfaces = ["eth1"]`) + `interface = "eth1"`,
				"all": oneBackend("snat", listenWhole3, "b2", 0),
			},
			request{by: "tcp udp", to: service3At443, shares: shares{"b2:443": 1}, sees: "balancer"},
		}},
	}...)
}

func symmetricHashCases() (all []testCase) {
	for _, mode := range []struct{ name, sees string }{{"snat", "balancer"}, {"dnat", ""}} {
		all = append(all, testCase{name: "symmetric-hash-" + mode.name, steps: steps{
			farms{"web": strings.NewReplacer("MODE", mode.name, "SCHEDULER",
				"symmetric-hash").Replace(weightedTemplate)},
			request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 3, "b2:8082": 1}, sees: mode.sees},
			farms{"web": wholeAddressFarm(mode.name, "symmetric-hash")},
			request{by: "tcp udp", to: service1, shares: shares{"b1:80": 3, "b2:80": 1}, sees: mode.sees, times: 200},
			pings{to: "192.0.2.1 2001:db8::1", shares: shares{"b1": 3, "b2": 1}},
		}})
	}
	for _, topology := range dsrTopologies {
		lab := topology.lab
		// neighbour discovery for a packet uses the packet's source, if it is an address of the machine
		lab.NoVIPs = true
		all = append(all, testCase{name: "symmetric-hash-both-ways-" + topology.name, lab: lab, steps: steps{
			farms{"web": topology.farm(`"192.0.2.1:8000-8100/udp", "192.0.2.2:8000-8100/udp", `+
				`"[2001:db8::1]:8000-8100/udp", "[2001:db8::2]:8000-8100/udp"`, `scheduler = "symmetric-hash"`)},
			sameBackendBothWays{"192.0.2.1", "192.0.2.2"}, sameBackendBothWays{"2001:db8::1", "2001:db8::2"},
		}})
	}
	return all
}
