package packettest

import "farmc/cmd/internal/netlab"

// addressCases: the most specific farm gets a connection.
var addressCases = []testCase{
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
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 3, "b2:80": 1}, sees: "balancer"},
		request{by: "tcp udp", to: "203.0.113.1:80 [2001:db8:f::1]:80", shares: shares{"b1:8081": 3, "b2:80": 1},
			sees: "balancer"},
		request{by: "tcp udp", to: "192.0.2.9:8050 [2001:db8::9]:8050", shares: shares{"b1:8081": 3, "b2:8050": 1},
			sees: "balancer"},
		request{by: "tcp udp", to: "192.0.2.1:8000 [2001:db8::1]:8000", shares: shares{"balancer:8000": 1}},
		request{by: "tcp udp", to: "192.0.2.1:8100 [2001:db8::1]:8100", shares: shares{"balancer:8100": 1}},
		// from the backends' side
		request{from: "b3", by: "tcp udp", to: "10.2.0.1:80 [fd00:2::1]:80", shares: shares{"b1:8081": 3, "b2:80": 1},
			sees: "balancer"},
	}},
	{name: "any-address-leaves-routed-packets", steps: steps{
		farms{"web": `
			listen = "*:80/tcp,udp"
			local-clients = true
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
		`},
		request{by: "tcp udp", to: "10.2.0.13:80 [fd00:2::13]:80", shares: shares{"b3:80": 1}},
		request{from: "b3", by: "tcp udp", to: "198.51.100.2:80 [2001:db8:c::2]:80", shares: shares{"client:80": 1}},
		request{from: "balancer", by: "tcp udp", to: "10.2.0.13:80 [fd00:2::13]:80", shares: shares{"b3:80": 1}},
		request{by: "tcp udp", to: service1, shares: shares{"b1:80": 1}, sees: "balancer"},
	}},
	{name: "any-address-leaves-loopback", steps: steps{
		farms{"web": `
			listen = "*:80,8001-8099/tcp,udp"
			local-clients = true
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
		`},
		request{from: "balancer", by: "tcp udp", to: "127.0.0.1:80 [::1]:80", shares: shares{"balancer:80": 1},
			sees: "127.0.0.1 ::1"},
		request{from: "balancer", by: "tcp udp", to: "127.1.2.3:8050 [::1]:8050", shares: shares{"balancer:8050": 1},
			sees: "127.0.0.1 ::1"},
		request{from: "balancer", by: "tcp udp", to: service1, shares: shares{"b1:80": 1}, sees: "balancer"},
	}},
	{name: "any-address-of-ip4", steps: steps{
		farms{"web": `
			mode   = "dnat"
			listen = "0.0.0.0:80/tcp,udp"
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
		`},
		request{by: "tcp udp", to: "192.0.2.1:80", shares: shares{"b1:80": 1}},
		request{by: "tcp udp", to: "[2001:db8::1]:80", shares: shares{"balancer:80": 1}},
	}},
	{name: "any-address-of-ip6", steps: steps{
		farms{"web": `
			mode   = "dnat"
			listen = "[::]:80/tcp,udp"
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
		`},
		request{by: "tcp udp", to: "192.0.2.1:80", shares: shares{"balancer:80": 1}},
		request{by: "tcp udp", to: "[2001:db8::1]:80", shares: shares{"b1:80": 1}},
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
		request{by: "tcp udp", to: service1, shares: shares{"b1:80": 1, "b2:80": 1}, inTurn: true, sees: "balancer"},
		request{by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"b1:443": 1, "b2:443": 1},
			inTurn: true, sees: "balancer"},
		request{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b1:8050": 1, "b2:8050": 1},
			inTurn: true, sees: "balancer"},
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
		request{by: "tcp udp", to: service1, shares: shares{"b1:80": 1}, sees: "balancer"},
		request{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b2:8050": 1}},
	}},
	{name: "precedence", steps: steps{
		farms{
			"single": oneBackend("snat", `"192.0.2.1:8050/tcp,udp", "[2001:db8::1]:8050/tcp,udp"`, "b1", 8081),
			"range": oneBackend("snat", `"192.0.2.1:8001-8099/tcp,udp", "[2001:db8::1]:8001-8099/tcp,udp"`, "b2",
				8082),
			"whole":      oneBackend("snat", `"192.0.2.1/all", "2001:db8::1/all"`, "b3", 0),
			"any-single": oneBackend("snat", `"*:8050,8082,443/tcp,udp"`, "b2", 443),
			"any-range":  oneBackend("snat", `"*:1-9000/tcp,udp"`, "b3", 8083),
		},
		request{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b1:8081": 1}, sees: "balancer"},
		request{by: "tcp udp", to: "192.0.2.1:8082 [2001:db8::1]:8082", shares: shares{"b2:8082": 1}, sees: "balancer"},
		request{by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"b3:443": 1}, sees: "balancer"},
		request{by: "tcp udp", to: "192.0.2.2:8050 [2001:db8::2]:8050", shares: shares{"b2:443": 1}, sees: "balancer"},
		request{by: "tcp udp", to: "192.0.2.2:443 [2001:db8::2]:443", shares: shares{"b2:443": 1}, sees: "balancer"},
		request{by: "tcp udp", to: "192.0.2.2:80 [2001:db8::2]:80", shares: shares{"b3:8083": 1}, sees: "balancer"},
		pings{to: "192.0.2.1 2001:db8::1", shares: shares{"b3": 1}},
		pings{to: "192.0.2.2 2001:db8::2", shares: shares{"balancer": 1}},
	}},
	// a farm in mode dnat inside of a farm in mode snat, on each level but the last
	{name: "dnat-inside-snat", steps: steps{
		farms{
			"single": oneBackend("dnat", `"192.0.2.1:8050/tcp,udp", "[2001:db8::1]:8050/tcp,udp"`, "b1", 8081),
			"range": oneBackend("snat", `"192.0.2.1:8001-8099/tcp,udp", "[2001:db8::1]:8001-8099/tcp,udp"`, "b2",
				8082),
			"whole":      oneBackend("dnat", `"192.0.2.1/all", "2001:db8::1/all"`, "b3", 0),
			"any-single": oneBackend("snat", `"*:443,8050/tcp,udp"`, "b2", 443),
			"whole-2":    oneBackend("dnat", `"192.0.2.2/all", "2001:db8::2/all"`, "b3", 0),
		},
		request{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b1:8081": 1}},
		request{by: "tcp udp", to: "192.0.2.1:8082 [2001:db8::1]:8082", shares: shares{"b2:8082": 1}, sees: "balancer"},
		request{by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"b3:443": 1}},
		request{by: "tcp udp", to: "192.0.2.2:443 [2001:db8::2]:443", shares: shares{"b3:443": 1}},
		request{by: "tcp udp", to: "192.0.2.3:443 [2001:db8::3]:443", shares: shares{"b2:443": 1}, sees: "balancer"},
	}},
	{name: "dnat-inside-snat-of-any-address", steps: steps{
		farms{
			"any-single": oneBackend("dnat", `"*:443,8050/tcp,udp"`, "b2", 443),
			"any-range":  oneBackend("snat", `"*:1-9000/tcp,udp"`, "b3", 8083),
			"range": oneBackend("dnat", `"192.0.2.1:8001-8099/tcp,udp", "[2001:db8::1]:8001-8099/tcp,udp"`, "b1",
				8081),
		},
		request{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b1:8081": 1}},
		request{by: "tcp udp", to: "192.0.2.2:8050 [2001:db8::2]:8050", shares: shares{"b2:443": 1}},
		request{by: "tcp udp", to: "192.0.2.1:80 [2001:db8::1]:80", shares: shares{"b3:8083": 1}, sees: "balancer"},
	}},
	{name: "snat-inside-dnat", steps: steps{
		farms{
			"single": oneBackend("snat", `"192.0.2.1:8050/tcp,udp", "[2001:db8::1]:8050/tcp,udp"`, "b1", 8081),
			"range": oneBackend("dnat", `"192.0.2.1:8001-8099/tcp,udp", "[2001:db8::1]:8001-8099/tcp,udp"`, "b2",
				8082),
		},
		request{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b1:8081": 1}, sees: "balancer"},
		request{by: "tcp udp", to: "192.0.2.1:8082 [2001:db8::1]:8082", shares: shares{"b2:8082": 1}},
	}},
	// Docker publishes a port on every address of the machine; its rules are loaded anew when dockerd restarts
	{name: "docker-loaded-later-leaves-farms-alone", steps: steps{
		farms{
			"web":    oneBackend("snat", listen1, "b1", 8081),
			"direct": oneBackend("dnat", `"192.0.2.2:443", "[2001:db8::2]:443"`, "b2", 8082),
		},
		nftScript(`
			table ip nat {
				chain DOCKER { iifname != "br0" tcp dport 80 dnat to 10.2.0.13:443; }
				chain PREROUTING { type nat hook prerouting priority dstnat; fib daddr type local jump DOCKER; }
				chain OUTPUT { type nat hook output priority -100; fib daddr type local jump DOCKER; }
				chain POSTROUTING { type nat hook postrouting priority srcnat; ip saddr 10.2.0.0/24 masquerade; }
			}
			table ip6 nat {
				chain DOCKER { iifname != "br0" tcp dport 80 dnat to [fd00:2::13]:443; }
				chain PREROUTING { type nat hook prerouting priority dstnat; fib daddr type local jump DOCKER; }
			}
		`),
		request{by: "tcp", to: service1, shares: shares{"b1:8081": 1}, sees: "balancer"},
		request{by: "tcp", to: "192.0.2.2:443 [2001:db8::2]:443", shares: shares{"b2:8082": 1}},
		request{by: "tcp", to: "192.0.2.3:80 [2001:db8::3]:80", shares: shares{"b3:443": 1}},
	}},
	// another table's destination NAT of forwarded packets gets no source NAT, at any port
	{name: "foreign-dnat-keeps-its-source", steps: steps{
		nftScript(`table inet foreign {
			chain prerouting {
				type nat hook prerouting priority dstnat - 5
				ip daddr 192.0.2.77 tcp dport 80 dnat ip to 10.2.0.13:443
				ip6 daddr 2001:db8::77 tcp dport 80 dnat ip6 to [fd00:2::13]:443
			}
		}`),
		farms{
			"web":   oneBackend("snat", listen1, "b1", 8081),
			"whole": oneBackend("snat", `"192.0.2.8/all", "2001:db8::8/all"`, "b2", 0),
			"any":   oneBackend("snat", `"*:80,8000-8100"`, "b2", 8082),
		},
		request{by: "tcp", to: "192.0.2.77:80 [2001:db8::77]:80", shares: shares{"b3:443": 1}},
		request{by: "tcp", to: service1, shares: shares{"b1:8081": 1}, sees: "balancer"},
	}},
}
