package packettest

import (
	"fmt"
	"strings"
)

// reloadCases: a load keeps connections, foreign tables, and the loaded farms if it fails.
var reloadCases = []testCase{
	{name: "reload-keeps-connections", steps: steps{
		farms{"web": weightedFarm("random", 3, 1),
			"mail": oneBackend("dnat", `"192.0.2.2:80", "[2001:db8::2]:80"`, "b3", 8083)},
		hold{by: "tcp udp", to: service1},
		hold{by: "tcp", to: "192.0.2.2:80 [2001:db8::2]:80"},
		// a change of another farm
		farms{"web": weightedFarm("random", 3, 1),
			"mail": oneBackend("dnat", `"192.0.2.2:443", "[2001:db8::2]:443"`, "b2", 8082)},
		echo{},
		request{by: "tcp", to: "192.0.2.2:443 [2001:db8::2]:443", shares: shares{"b2:8082": 1}},
		farms{"web": weightedFarm("random", 3, 1)},
		echo{},
		// changes of the farm itself
		farms{"web": weightedFarm("random", 1, 3)},
		echo{},
		farms{"web": weightedFarm("random", 1, 3) +
			"\n[backends.b3]\naddress = ['10.2.0.13', 'fd00:2::13']\nport = 8083\nweight = 4"},
		echo{},
		request{by: "tcp", to: service1, shares: shares{"b1:8081": 1, "b2:8082": 3, "b3:8083": 4}, sees: "balancer"},
		farms{"web": weightedFarm("hash", 1, 3)},
		echo{},
		farms{"web": weightedFarm("round-robin", 1, 3)},
		echo{},
		farms{"web": strings.Replace(weightedFarm("random", 1, 3), "snat", "dnat", 1)},
		echo{},
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1, "b2:8082": 3}},
	}},
	// strings of other programs, and a farm that is not ready, change nothing under connections
	{name: "annotations-keep-connections", steps: steps{
		farms{"web": weightedFarm("random", 3, 1)},
		hold{by: "tcp", to: service1},
		farms{"web": weightedFarm("random", 3, 1) + "\n[annotations]\nteam = 'web'",
			"shop.toml.incomplete": "listen ="},
		echo{},
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 3, "b2:8082": 1}, sees: "balancer"},
		farms{"web": "listen = ['192.0.2.1:80/tcp,udp', '[2001:db8::1]:80/tcp,udp']\n" +
			"[annotations]\nteam = 'web'\n[backends]"},
		echo{},
		refused{by: "tcp udp", to: service1},
	}},
	{name: "longest-names-keep-connections", steps: steps{
		farms{longestName: longestNames(3)},
		hold{by: "tcp udp", to: service1},
		farms{longestName: longestNames(1), "7": oneBackend("dnat", `"192.0.2.2:80", "[2001:db8::2]:80"`, "b3", 8083)},
		echo{},
		request{by: "tcp udp", to: service1, shares: shares{"b1:80": 1, "b2:80": 1}, sees: "balancer"},
		request{by: "tcp", to: "192.0.2.2:80 [2001:db8::2]:80", shares: shares{"b3:8083": 1}},
	}},
	{name: "complete-script-keeps-connections", steps: steps{
		farms{"web": weightedFarm("random", 3, 1)},
		hold{by: "tcp", to: service1},
		pipeScript, echo{},
		pipeScript, echo{},
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 3, "b2:8082": 1}, sees: "balancer"},
		deleteTable, pipeScript,
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 3, "b2:8082": 1}, sees: "balancer"},
		nftScript("flush ruleset\n"), pipeScript, pipeScript,
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 3, "b2:8082": 1}, sees: "balancer"},
	}},
	{name: "failed-load-changes-nothing", steps: steps{
		twentyFarms(""),
		hold{by: "tcp", to: service1},
		rejected{twentyFarms("weigth = 2"), `farms.d/farm-7.toml:8:1: error: unknown key "weigth"`},
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}, sees: "balancer"},
		request{by: "tcp udp", to: "192.0.2.7:80 [2001:db8::7]:80", shares: shares{"b2:8082": 1}, sees: "balancer"},
		echo{},
	}},
	{name: "reload-leaves-foreign-tables", steps: steps{
		nftScript(`
			table inet foreign {
				comment "not ours"
				set known { type ipv4_addr; flags dynamic, timeout; timeout 1h; elements = { 192.0.2.200 } }
				chain prerouting {
					type nat hook prerouting priority dstnat - 10
					tcp dport 443 dnat ip to 10.2.0.1:8083 comment "a service of this machine"
					tcp dport 443 dnat ip6 to [fd00:2::1]:8083
				}
				chain input {
					type filter hook input priority filter; policy drop
					ct state established,related accept
					tcp dport { 53, 8083 } accept
					meta l4proto icmpv6 accept
				}
			}
			table ip nat {
				chain POSTROUTING { type nat hook postrouting priority srcnat; ip saddr 10.99.0.0/16 masquerade; };
			}
			table netdev farm { chain ingress { type filter hook ingress device "eth0" priority 0; }; }
			table ip farmc { chain namesake { counter; }; }
			table ip6 farmc { }
		`),
		stepFunc(func(s *testbed) error {
			before, err := s.foreignTables()
			if err != nil {
				return err
			}
			if err := (steps{
				farms{"web": weightedFarm("random", 3, 1)},
				request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 3, "b2:8082": 1}, sees: "balancer"},
				request{by: "tcp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"balancer:8083": 1}},
				pipeScript, pipeScript,
				farms{"web": oneBackend("dnat", listen1, "b3", 0)},
				request{by: "tcp udp", to: service1, shares: shares{"b3:80": 1}},
				request{by: "tcp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"balancer:8083": 1}},
				farms{},
			}).do(s); err != nil {
				return err
			}
			after, err := s.foreignTables()
			if after != before || !strings.Contains(before, "not ours") {
				return fmt.Errorf("the foreign tables were\n%s\nand are\n%s", before, after)
			}
			return err
		}),
	}},
}

// twentyFarms are farm-1 to farm-20, at 192.0.2.1 to .20. All have b1 as their backend but farm-7, which has one line
// more.
func twentyFarms(line string) farms {
	all := farms{}
	for n := 1; n <= 20; n++ {
		listen := fmt.Sprintf(`"192.0.2.%d:80/tcp,udp", "[2001:db8::%[1]d]:80/tcp,udp"`, n)
		all[fmt.Sprint("farm-", n)] = oneBackend("snat", listen, "b1", 8081)
	}
	all["farm-7"] = oneBackend("snat", `"192.0.2.7:80/tcp,udp", "[2001:db8::7]:80/tcp,udp"`, "b2", 8082) + line
	return all
}

// longestName is a farm's name of 96 characters.
var longestName = "2026-" + strings.Repeat("y", 91)

// longestNames is a farm with names of backends that have dots, one of them as long as can be.
func longestNames(weight int) string {
	return fmt.Sprintf(`
		listen = ["192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"]
		[limits]
		connections = 50000
		[log]
		on = ["input", "forward", "denied", "limited"]
		[backends."b1.example.com-%s"]
		address = ["10.2.0.11", "fd00:2::11"]
		weight  = %d
		connections = 5000
		[backends."10.2.0.12"]
		address = ["10.2.0.12", "fd00:2::12"]
	`, strings.Repeat("z", 81), weight)
}
