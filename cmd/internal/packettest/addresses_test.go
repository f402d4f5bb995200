package packettest

import "farmc/cmd/internal/netlab"

// addressScenes: which farm a connection belongs to, of those that its destination could mean.
var addressScenes = []scene{
	{name: "any-address", steps: steps{
		farms{"web": `
			listen = "*:80,8001-8099/tcp,udp"
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
			port    = 8081
			weight  = 3
			[backends.b2]
			address = ["10.2.0.12", "fd00:2::12"]
		`},
		ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 3, "b2:80": 1}, sees: "balancer"},
		ask{by: "tcp udp", to: "203.0.113.1:80 [2001:db8:f::1]:80", shares: shares{"b1:8081": 3, "b2:80": 1}, sees: "balancer"},
		ask{by: "tcp udp", to: "192.0.2.9:8050 [2001:db8::9]:8050", shares: shares{"b1:8081": 3, "b2:8050": 1}, sees: "balancer"},
		ask{by: "tcp udp", to: "192.0.2.1:8000 [2001:db8::1]:8000", shares: shares{"balancer:8000": 1}},
		ask{by: "tcp udp", to: "192.0.2.1:8100 [2001:db8::1]:8100", shares: shares{"balancer:8100": 1}},
		// from the backends' side
		ask{from: "b3", by: "tcp udp", to: "10.2.0.1:80 [fd00:2::1]:80", shares: shares{"b1:8081": 3, "b2:80": 1}, sees: "balancer"},
	}},
	{name: "any-address-leaves-routed-packets", steps: steps{
		farms{"web": `
			listen = "*:80/tcp,udp"
			local-clients = true
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
		`},
		ask{by: "tcp udp", to: "10.2.0.13:80 [fd00:2::13]:80", shares: shares{"b3:80": 1}},
		ask{from: "b3", by: "tcp udp", to: "198.51.100.2:80 [2001:db8:c::2]:80", shares: shares{"client:80": 1}},
		ask{from: "balancer", by: "tcp udp", to: "10.2.0.13:80 [fd00:2::13]:80", shares: shares{"b3:80": 1}},
		ask{by: "tcp udp", to: both, shares: shares{"b1:80": 1}, sees: "balancer"},
	}},
	{name: "any-address-leaves-loopback", steps: steps{
		farms{"web": `
			listen = "*:80,8001-8099/tcp,udp"
			local-clients = true
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
		`},
		ask{from: "balancer", by: "tcp udp", to: "127.0.0.1:80 [::1]:80", shares: shares{"balancer:80": 1}, sees: "127.0.0.1 ::1"},
		ask{from: "balancer", by: "tcp udp", to: "127.1.2.3:8050 [::1]:8050", shares: shares{"balancer:8050": 1}, sees: "127.0.0.1 ::1"},
		ask{from: "balancer", by: "tcp udp", to: both, shares: shares{"b1:80": 1}, sees: "balancer"},
	}},
	{name: "any-address-of-ip4", steps: steps{
		farms{"web": `
			mode   = "dnat"
			listen = "0.0.0.0:80/tcp,udp"
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
		`},
		ask{by: "tcp udp", to: "192.0.2.1:80", shares: shares{"b1:80": 1}},
		ask{by: "tcp udp", to: "[2001:db8::1]:80", shares: shares{"balancer:80": 1}},
	}},
	{name: "any-address-of-ip6", steps: steps{
		farms{"web": `
			mode   = "dnat"
			listen = "[::]:80/tcp,udp"
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
		`},
		ask{by: "tcp udp", to: "192.0.2.1:80", shares: shares{"balancer:80": 1}},
		ask{by: "tcp udp", to: "[2001:db8::1]:80", shares: shares{"b1:80": 1}},
	}},
	{name: "any-address-in-turn", steps: steps{
		farms{"web": `
			listen    = "*:80,443,8001-8099/tcp,udp"
			scheduler = "round-robin"
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
			[backends.b2]
			address = ["10.2.0.12", "fd00:2::12"]
		`},
		ask{by: "tcp udp", to: both, shares: shares{"b1:80": 1, "b2:80": 1}, turns: true, sees: "balancer"},
		ask{by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"b1:443": 1, "b2:443": 1}, turns: true, sees: "balancer"},
		ask{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b1:8050": 1, "b2:8050": 1}, turns: true, sees: "balancer"},
	}},
	{name: "address-not-of-this-machine", lab: netlab.Options{NoVIPs: true}, steps: steps{
		farms{"web": `
			listen = ["192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"]
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
		`, "range": `
			mode   = "dnat"
			listen = ["192.0.2.1:8000-8100/tcp,udp", "[2001:db8::1]:8000-8100/tcp,udp"]
			[backends.b2]
			address = ["10.2.0.12", "fd00:2::12"]
		`},
		ask{by: "tcp udp", to: both, shares: shares{"b1:80": 1}, sees: "balancer"},
		ask{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b2:8050": 1}},
	}},
	{name: "precedence", steps: steps{
		farms{
			"single":     one("snat", `"192.0.2.1:8050/tcp,udp", "[2001:db8::1]:8050/tcp,udp"`, "b1", 8081),
			"range":      one("snat", `"192.0.2.1:8001-8099/tcp,udp", "[2001:db8::1]:8001-8099/tcp,udp"`, "b2", 8082),
			"whole":      one("snat", `"192.0.2.1", "2001:db8::1"`, "b3", 0),
			"any-single": one("snat", `"*:8050,8082,443/tcp,udp"`, "b2", 443),
			"any-range":  one("snat", `"*:1-9000/tcp,udp"`, "b3", 8083),
		},
		ask{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b1:8081": 1}, sees: "balancer"},
		ask{by: "tcp udp", to: "192.0.2.1:8082 [2001:db8::1]:8082", shares: shares{"b2:8082": 1}, sees: "balancer"},
		ask{by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"b3:443": 1}, sees: "balancer"},
		ask{by: "tcp udp", to: "192.0.2.2:8050 [2001:db8::2]:8050", shares: shares{"b2:443": 1}, sees: "balancer"},
		ask{by: "tcp udp", to: "192.0.2.2:443 [2001:db8::2]:443", shares: shares{"b2:443": 1}, sees: "balancer"},
		ask{by: "tcp udp", to: "192.0.2.2:80 [2001:db8::2]:80", shares: shares{"b3:8083": 1}, sees: "balancer"},
		pings{to: "192.0.2.1 2001:db8::1", shares: shares{"b3": 1}},
		pings{to: "192.0.2.2 2001:db8::2", shares: shares{"balancer": 1}},
	}},
	// a farm that keeps the client's address, with one around it that doesn't, on each level but the last
	{name: "dnat-inside-snat", steps: steps{
		farms{
			"single":     one("dnat", `"192.0.2.1:8050/tcp,udp", "[2001:db8::1]:8050/tcp,udp"`, "b1", 8081),
			"range":      one("snat", `"192.0.2.1:8001-8099/tcp,udp", "[2001:db8::1]:8001-8099/tcp,udp"`, "b2", 8082),
			"whole":      one("dnat", `"192.0.2.1", "2001:db8::1"`, "b3", 0),
			"any-single": one("snat", `"*:443,8050/tcp,udp"`, "b2", 443),
			"whole-2":    one("dnat", `"192.0.2.2", "2001:db8::2"`, "b3", 0),
		},
		ask{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b1:8081": 1}},
		ask{by: "tcp udp", to: "192.0.2.1:8082 [2001:db8::1]:8082", shares: shares{"b2:8082": 1}, sees: "balancer"},
		ask{by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"b3:443": 1}},
		ask{by: "tcp udp", to: "192.0.2.2:443 [2001:db8::2]:443", shares: shares{"b3:443": 1}},
		ask{by: "tcp udp", to: "192.0.2.3:443 [2001:db8::3]:443", shares: shares{"b2:443": 1}, sees: "balancer"},
	}},
	{name: "dnat-inside-snat-of-any-address", steps: steps{
		farms{
			"any-single": one("dnat", `"*:443,8050/tcp,udp"`, "b2", 443),
			"any-range":  one("snat", `"*:1-9000/tcp,udp"`, "b3", 8083),
			"range":      one("dnat", `"192.0.2.1:8001-8099/tcp,udp", "[2001:db8::1]:8001-8099/tcp,udp"`, "b1", 8081),
		},
		ask{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b1:8081": 1}},
		ask{by: "tcp udp", to: "192.0.2.2:8050 [2001:db8::2]:8050", shares: shares{"b2:443": 1}},
		ask{by: "tcp udp", to: "192.0.2.1:80 [2001:db8::1]:80", shares: shares{"b3:8083": 1}, sees: "balancer"},
	}},
	{name: "snat-inside-dnat", steps: steps{
		farms{
			"single": one("snat", `"192.0.2.1:8050/tcp,udp", "[2001:db8::1]:8050/tcp,udp"`, "b1", 8081),
			"range":  one("dnat", `"192.0.2.1:8001-8099/tcp,udp", "[2001:db8::1]:8001-8099/tcp,udp"`, "b2", 8082),
		},
		ask{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b1:8081": 1}, sees: "balancer"},
		ask{by: "tcp udp", to: "192.0.2.1:8082 [2001:db8::1]:8082", shares: shares{"b2:8082": 1}},
	}},
	// what another table does with packets that are routed isn't ours, whatever the port
	{name: "foreign-dnat-keeps-its-source", steps: steps{
		foreign(`table inet foreign {
			chain prerouting {
				type nat hook prerouting priority dstnat - 5
				ip daddr 192.0.2.77 tcp dport 80 dnat ip to 10.2.0.13:443
				ip6 daddr 2001:db8::77 tcp dport 80 dnat ip6 to [fd00:2::13]:443
			}
		}`),
		farms{
			"web":   one("snat", listenBoth, "b1", 8081),
			"whole": one("snat", `"192.0.2.8", "2001:db8::8"`, "b2", 0),
			"any":   one("snat", `"*:80,8000-8100"`, "b2", 8082),
		},
		ask{by: "tcp", to: "192.0.2.77:80 [2001:db8::77]:80", shares: shares{"b3:443": 1}},
		ask{by: "tcp", to: both, shares: shares{"b1:8081": 1}, sees: "balancer"},
	}},
}
