package packettest

import (
	"fmt"
	"strings"
)

// keptScenes: what has a memory goes on after a load.
func keptScenes() []scene {
	all := []scene{
		// one after the other, as if nobody had loaded anything: another farm comes, is changed in all ways, and goes
		{name: "reload-keeps-turns", steps: steps{
			farms{"turns": turns}, next{}, next{},
			farms{"turns": turns, "web": weightedBy("random", 3, 1)}, next{},
			farms{"turns": turns, "web": weightedBy("random", 2, 1)}, next{}, next{},
			farms{"turns": turns, "web": weightedBy("round-robin", 2, 1)}, next{},
			farms{"turns": turns, "web": strings.Replace(weightedBy("hash", 1, 1), "snat", "dnat", 1)}, next{}, next{},
			farms{"turns": turns}, next{}, next{},
		}},
		{name: "reload-keeps-counts", steps: steps{
			farms{"web": weightedBy("random", 3, 1), "turns": turns},
			ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 3, "b2:8082": 1}, sees: "balancer"},
			next{}, next{},
			counts{farms{"web": weightedBy("random", 1, 1), "turns": turns}},
			counts{farms{"web": weightedBy("random", 1, 3), "turns": turns}},
			counts{farms{"web": weightedBy("random", 2, 3), "turns": turns, "other": one("snat", `"192.0.2.7:80"`, "b3", 0)}},
			counts{farms{"web": weightedBy("round-robin", 2, 3), "turns": turns}},
			counts{farms{"web": weightedBy("hash", 2, 3), "turns": turns + "\n[backends.b4]\naddress = '10.2.0.1'\nport = 8083"}},
			counts{farms{"web": strings.Replace(weightedBy("maglev", 2, 3), "snat", "dnat", 1), "turns": turns}},
			counts{farms{"web": weightedBy("random", 7, 9), "turns": turns}},
			ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 7, "b2:8082": 9}, sees: "balancer"},
		}},
		// whatever somebody does to the rules, those who are remembered meet their backends
		{name: "reload-after-tampering", steps: steps{
			sticky("", "timeout = '5m'", ""),
			stay{name: "known", to: both, sees: "balancer"},
			foreign("flush table inet farmc\n"),
			sticky("", "timeout = '5m'", ""),
			stay{name: "known", to: both, sees: "balancer"},
			foreign("flush chain inet farmc keep-conntrack\nadd chain inet farmc theirs { type filter hook input priority 0; }\nadd rule inet farmc prerouting tcp dport 80 drop\nadd set inet farmc own { type ipv4_addr; }\nadd counter inet farmc own\n"),
			sticky("", "timeout = '6m'", "weight = 5"),
			stay{name: "known", to: both, sees: "balancer"},
			deed(func(s *stage) error {
				text, err := s.Balancer.Run(s.ctx, "", "nft", "list", "table", "inet", "farmc")
				if strings.Contains(text, "theirs") || strings.Contains(text, " own ") || !strings.Contains(text, "timeout 6m") {
					return fmt.Errorf("the kernel holds\n%s", text)
				}
				return err
			}),
			// the digest is right, but what is to go isn't there
			foreign("flush chain inet farmc farm/web/ip4\nflush map inet farmc services-ip6\n" +
				"flush map inet farmc source-services-ip4\nflush map inet farmc source-services-ip6\ndelete chain inet farmc masquerade-all\n"),
			sticky("mode = 'dnat'", "timeout = '6m'", "weight = 5"),
			stay{name: "known", to: both},
		}},
	}
	for name, keys := range map[string]string{
		"random": "", "hash": "scheduler = 'hash'", "maglev": "scheduler = 'maglev'\ntable-size = 101", "persistence": "persistence.timeout = '1m'", "local-clients": "local-clients = true",
		"inside": "interfaces = ['eth0']", "stateless": "mode = 'stateless'\nscheduler = 'hash'", "stateless-inside": "mode = 'stateless'\nscheduler = 'symmetric-hash'\ninterfaces = ['eth0']",
		"dsr": "mode = 'dsr'\nscheduler = 'hash'\ninterfaces = ['eth0']", "dsr-maglev": "mode = 'dsr'\nscheduler = 'maglev'\ntable-size = 101\ninterfaces = ['eth0']",
	} {
		all = append(all, countingScene(name, keys, listenBoth))
	}
	return append(all, countingScene("range", "", `"192.0.2.1:8000-8100/tcp,udp", "[2001:db8::1]:8000-8100/tcp,udp"`),
		countingScene("whole-address", "", `"192.0.2.3", "2001:db8::3"`), countingScene("whole-address-dsr", "mode = 'dsr'\nscheduler = 'hash'\ninterfaces = ['eth0']", `"192.0.2.3", "2001:db8::3"`),
		countingScene("any-address", "", `"*:443/tcp,udp"`))
}

// countingScene: in every shape that there is, a backend's count goes over to its new slots.
func countingScene(name, keys, listen string) scene {
	farm := func(weight int, more string) farms {
		return farms{"web": fmt.Sprintf("listen = [%s]\n%s\n[backends.b1]\naddress = ['10.2.0.11', 'fd00:2::11']\nweight = %d\n[backends.b2]\naddress = ['10.2.0.12', 'fd00:2::12']\n%s", listen, keys, weight, more)}
	}
	const b3 = "[backends.b3]\naddress = ['10.2.0.13', 'fd00:2::13']\n"
	return scene{name: "reload-keeps-counts-" + name, steps: steps{
		farm(3, ""), counting, counts{farm(1, "")}, counting, counts{farm(1, b3)}, counts{farm(5, b3)}, counting, counts{farm(5, b3+"weight = 2")},
	}}
}

const turns = `
	scheduler = "round-robin"
	listen    = "192.0.2.9:80"
	[backends.b1]
	address = "10.2.0.11"
	[backends.b2]
	address = "10.2.0.12"
	[backends.b3]
	address = "10.2.0.13"
`
