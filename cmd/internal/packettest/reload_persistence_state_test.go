package packettest

import (
	"fmt"
	"strings"
)

// keptStateCases: turns, counters and persistence survive a load.
func keptStateCases() []testCase {
	all := []testCase{
		// turns continue while another farm is added, changed in all ways, and removed
		{name: "reload-keeps-turns", steps: steps{
			farms{"turns": roundRobinFarm}, nextInTurn{}, nextInTurn{},
			farms{"turns": roundRobinFarm, "web": weightedFarm("random", 3, 1)}, nextInTurn{},
			farms{"turns": roundRobinFarm, "web": weightedFarm("random", 2, 1)}, nextInTurn{}, nextInTurn{},
			farms{"turns": roundRobinFarm, "web": weightedFarm("round-robin", 2, 1)}, nextInTurn{},
			farms{"turns": roundRobinFarm, "web": strings.Replace(weightedFarm("hash", 1, 1), "snat", "dnat", 1)},
			nextInTurn{}, nextInTurn{},
			farms{"turns": roundRobinFarm}, nextInTurn{}, nextInTurn{},
		}},
		{name: "reload-keeps-counters", steps: steps{
			farms{"web": weightedFarm("random", 3, 1), "turns": roundRobinFarm},
			request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 3, "b2:8082": 1}, sees: "balancer"},
			nextInTurn{}, nextInTurn{},
			keepsCounters{farms{"web": weightedFarm("random", 1, 1), "turns": roundRobinFarm}},
			keepsCounters{farms{"web": weightedFarm("random", 1, 3), "turns": roundRobinFarm}},
			keepsCounters{farms{"web": weightedFarm("random", 2, 3), "turns": roundRobinFarm,
				"other": oneBackend("snat", `"192.0.2.7:80"`, "b3", 0)}},
			keepsCounters{farms{"web": weightedFarm("round-robin", 2, 3), "turns": roundRobinFarm}},
			keepsCounters{farms{"web": weightedFarm("hash", 2, 3),
				"turns": roundRobinFarm + "\n[backends.b4]\naddress = '10.2.0.1'\nport = 8083"}},
			keepsCounters{farms{"web": strings.Replace(weightedFarm("maglev", 2, 3), "snat", "dnat", 1),
				"turns": roundRobinFarm}},
			keepsCounters{farms{"web": weightedFarm("random", 7, 9), "turns": roundRobinFarm}},
			request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 7, "b2:8082": 9}, sees: "balancer"},
		}},
		// known clients keep their backends after any change to the rules by others
		{name: "reload-after-tampering-keeps-clients", steps: steps{
			persistentFarm("", "timeout = '5m'", ""),
			keepBackend{name: "known", to: service1, sees: "balancer"},
			nftScript("flush table inet farmc\n"),
			persistentFarm("", "timeout = '5m'", ""),
			keepBackend{name: "known", to: service1, sees: "balancer"},
			nftScript("flush chain inet farmc keep-conntrack\n" +
				"add chain inet farmc theirs { type filter hook input priority 0; }\n" +
				"add rule inet farmc prerouting tcp dport 80 drop\nadd set inet farmc own { type ipv4_addr; }\n" +
				"add counter inet farmc own\n"),
			persistentFarm("", "timeout = '6m'", "weight = 5"),
			keepBackend{name: "known", to: service1, sees: "balancer"},
			stepFunc(func(s *testbed) error {
				text, err := s.Balancer.Run(s.ctx, "", "nft", "list", "table", "inet", "farmc")
				if strings.Contains(text, "theirs") || strings.Contains(text, " own ") ||
					!strings.Contains(text, "timeout 6m") {
					return fmt.Errorf("the kernel holds\n%s", text)
				}
				return err
			}),
			// the digest matches, but objects that the load has to remove are missing
			nftScript("flush chain inet farmc farm/web/ip4\nflush map inet farmc services-ip6\n" +
				"flush map inet farmc source-services-ip4\nflush map inet farmc source-services-ip6\n" +
				"delete chain inet farmc masquerade-all\n"),
			persistentFarm("mode = 'dnat'", "timeout = '6m'", "weight = 5"),
			keepBackend{name: "known", to: service1},
		}},
	}
	for name, keys := range map[string]string{
		"random": "", "hash": "scheduler = 'hash'", "maglev": "scheduler = 'maglev'\ntable-size = 101",
		"persistence": "persistence.timeout = '1m'", "local-clients": "local-clients = true",
		"inside": "interfaces = ['eth0']", "stateless": "mode = 'stateless'\nscheduler = 'hash'",
		"stateless-inside": "mode = 'stateless'\nscheduler = 'symmetric-hash'\ninterfaces = ['eth0']",
		"dsr":              "mode = 'dsr'\nscheduler = 'hash'\ninterfaces = ['eth0']",
		"dsr-maglev":       "mode = 'dsr'\nscheduler = 'maglev'\ntable-size = 101\ninterfaces = ['eth0']",
	} {
		all = append(all, keptCountersCase(name, keys, listen1))
	}
	return append(all, keptCountersCase("range", "",
		`"192.0.2.1:8000-8100/tcp,udp", "[2001:db8::1]:8000-8100/tcp,udp"`),
		keptCountersCase("whole-address", "", `"192.0.2.3/all", "2001:db8::3/all"`),
		keptCountersCase("whole-address-dsr", "mode = 'dsr'\nscheduler = 'hash'\ninterfaces = ['eth0']",
			`"192.0.2.3/all", "2001:db8::3/all"`),
		keptCountersCase("any-address", "", `"*:443/tcp,udp"`))
}

// keptCountersCase: a backend's counters move to its new slots, with every kind of map.
func keptCountersCase(name, keys, listen string) testCase {
	farm := func(weight int, more string) farms {
		return farms{"web": fmt.Sprintf("listen = [%s]\n%s\n[backends.b1]\naddress = ['10.2.0.11', 'fd00:2::11']\n"+
			"weight = %d\n[backends.b2]\naddress = ['10.2.0.12', 'fd00:2::12']\n%s", listen, keys, weight, more)}
	}
	const b3 = "[backends.b3]\naddress = ['10.2.0.13', 'fd00:2::13']\n"
	return testCase{name: "reload-keeps-counters-" + name, steps: steps{
		farm(3, ""), setCounters, keepsCounters{farm(1, "")}, setCounters, keepsCounters{farm(1, b3)},
		keepsCounters{farm(5, b3)}, setCounters, keepsCounters{farm(5, b3+"weight = 2")},
	}}
}

const roundRobinFarm = `
	scheduler = "round-robin"
	listen    = "192.0.2.9:80"
	[backends.b1]
	address = "10.2.0.11"
	[backends.b2]
	address = "10.2.0.12"
	[backends.b3]
	address = "10.2.0.13"
`
