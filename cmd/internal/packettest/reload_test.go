package packettest

import (
	"fmt"
	"strings"
)

// reloadScenes: what a load leaves as it was.
var reloadScenes = []scene{
	{name: "reload-keeps-connections", steps: steps{
		farms{"web": weightedBy("random", 3, 1), "mail": one("dnat", `"192.0.2.2:80", "[2001:db8::2]:80"`, "b3", 8083)},
		hold{by: "tcp udp", to: both},
		hold{by: "tcp", to: "192.0.2.2:80 [2001:db8::2]:80"},
		// something else
		farms{"web": weightedBy("random", 3, 1), "mail": one("dnat", `"192.0.2.2:443", "[2001:db8::2]:443"`, "b2", 8082)},
		echo{},
		ask{by: "tcp", to: "192.0.2.2:443 [2001:db8::2]:443", shares: shares{"b2:8082": 1}},
		farms{"web": weightedBy("random", 3, 1)},
		echo{},
		// the farm itself
		farms{"web": weightedBy("random", 1, 3)},
		echo{},
		farms{"web": weightedBy("random", 1, 3) + "\n[backends.b3]\naddress = ['10.2.0.13', 'fd00:2::13']\nport = 8083\nweight = 4"},
		echo{},
		ask{by: "tcp", to: both, shares: shares{"b1:8081": 1, "b2:8082": 3, "b3:8083": 4}, sees: "balancer"},
		farms{"web": weightedBy("hash", 1, 3)},
		echo{},
		farms{"web": weightedBy("round-robin", 1, 3)},
		echo{},
		farms{"web": strings.Replace(weightedBy("random", 1, 3), "snat", "dnat", 1)},
		echo{},
		ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 1, "b2:8082": 3}},
	}},
	{name: "reload-when-nothing-holds", steps: steps{
		farms{"web": weightedBy("random", 3, 1)},
		hold{by: "tcp", to: both},
		pipe, echo{},
		pipe, echo{},
		ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 3, "b2:8082": 1}, sees: "balancer"},
		wipe, pipe,
		ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 3, "b2:8082": 1}, sees: "balancer"},
		foreign("flush ruleset\n"), pipe, pipe,
		ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 3, "b2:8082": 1}, sees: "balancer"},
	}},
	{name: "reload-refused", steps: steps{
		twentyFarms(""),
		hold{by: "tcp", to: both},
		rejected{twentyFarms("weigth = 2"), `farms.d/farm-7.toml:8:1: error: unknown key "weigth"`},
		ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 1}, sees: "balancer"},
		ask{by: "tcp udp", to: "192.0.2.7:80 [2001:db8::7]:80", shares: shares{"b2:8082": 1}, sees: "balancer"},
		echo{},
	}},
	{name: "reload-leaves-foreign-tables", steps: steps{
		foreign(`
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
		deed(func(s *stage) error {
			before, err := s.foreignTables()
			if err != nil {
				return err
			}
			if err := (steps{
				farms{"web": weightedBy("random", 3, 1)},
				ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 3, "b2:8082": 1}, sees: "balancer"},
				ask{by: "tcp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"balancer:8083": 1}},
				pipe, pipe,
				farms{"web": one("dnat", listenBoth, "b3", 0)},
				ask{by: "tcp udp", to: both, shares: shares{"b3:80": 1}},
				ask{by: "tcp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"balancer:8083": 1}},
				farms{},
			}).do(s); err != nil {
				return err
			}
			after, err := s.foreignTables()
			if after != before || !strings.Contains(before, "not ours") {
				return fmt.Errorf("the tables of others were\n%s\nand are\n%s", before, after)
			}
			return err
		}),
	}},
}

// twentyFarms are farm-1 to farm-20, at 192.0.2.1 to .20. All are served by b1 but farm-7, which has one line more.
func twentyFarms(line string) farms {
	all := farms{}
	for n := 1; n <= 20; n++ {
		listen := fmt.Sprintf(`"192.0.2.%d:80/tcp,udp", "[2001:db8::%[1]d]:80/tcp,udp"`, n)
		all[fmt.Sprint("farm-", n)] = one("snat", listen, "b1", 8081)
	}
	all["farm-7"] = one("snat", `"192.0.2.7:80/tcp,udp", "[2001:db8::7]:80/tcp,udp"`, "b2", 8082) + line
	return all
}
