package packettest

import "farmc/cmd/internal/netlab"

// localScenes: clients and backends on the balancer itself.
var localScenes = []scene{
	{name: "without-local-clients", steps: steps{
		farms{"web": one("snat", listenBoth, "b1", 8081),
			"range": one("snat", `"192.0.2.1:8000-8099/tcp,udp", "[2001:db8::1]:8000-8099/tcp,udp"`, "b1", 0),
			"any":   one("snat", `"*:443/tcp,udp"`, "b1", 0),
			"whole": one("snat", `"192.0.2.2", "2001:db8::2"`, "b1", 0)},
		ask{from: "balancer", by: "tcp udp", to: both, shares: shares{"balancer:80": 1}, sees: "192.0.2.1 2001:db8::1"},
		ask{from: "balancer", by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"balancer:8050": 1}, sees: "192.0.2.1 2001:db8::1"},
		ask{from: "balancer", by: "tcp udp", to: "192.0.2.2:443 [2001:db8::2]:443", shares: shares{"balancer:443": 1}, sees: "192.0.2.2 2001:db8::2"},
		ask{from: "balancer", by: "tcp udp", to: "192.0.2.3:443 [2001:db8::3]:443", shares: shares{"balancer:443": 1}, sees: "192.0.2.3 2001:db8::3"},
		ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 1}, sees: "balancer"},
	}},
	{name: "local-clients", steps: steps{
		farms{
			"web": `
				listen        = ["192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"]
				local-clients = true
				[backends.b1]
				address = ["10.2.0.11", "fd00:2::11"]
				port    = 8081
				weight  = 3
				[backends.b2]
				address = ["10.2.0.12", "fd00:2::12"]
				port    = 8082
			`,
			"range":   one("snat", `"192.0.2.1:8001-8099/tcp,udp", "[2001:db8::1]:8001-8099/tcp,udp"`, "b2", 0, "local-clients = true"),
			"whole":   one("snat", `"192.0.2.2", "2001:db8::2"`, "b3", 0, "local-clients = true"),
			"any":     one("snat", `"*:443,8000-8099/tcp,udp"`, "b1", 0, "local-clients = true"),
			"outside": one("snat", `"192.0.2.1:53/tcp,udp", "[2001:db8::1]:53/tcp,udp"`, "b1", 0),
		},
		ask{from: "balancer", by: "tcp udp", to: both, shares: shares{"b1:8081": 3, "b2:8082": 1}, sees: "balancer"},
		ask{from: "balancer", by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b2:8050": 1}, sees: "balancer"},
		ask{from: "balancer", by: "tcp udp", to: "192.0.2.2:443 [2001:db8::2]:443", shares: shares{"b3:443": 1}, sees: "balancer"},
		ask{from: "balancer", by: "tcp udp", to: "192.0.2.3:443 [2001:db8::3]:443", shares: shares{"b1:443": 1}, sees: "balancer"},
		ask{from: "balancer", by: "tcp udp", to: "10.2.0.1:8050 [fd00:2::1]:8050", shares: shares{"b1:8050": 1}, sees: "balancer"},
		ask{from: "balancer", by: "tcp udp", to: "192.0.2.1:53 [2001:db8::1]:53", shares: shares{"balancer:53": 1}, sees: "192.0.2.1 2001:db8::1"},
		pings{from: "balancer", to: "192.0.2.2 2001:db8::2", shares: shares{"b3": 1}},
		ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 3, "b2:8082": 1}, sees: "balancer"},
	}},
	// the kernel gave the connection the service's address as its source, and the backend sees it
	{name: "local-clients-dnat", steps: steps{
		farms{"web": one("dnat", listenBoth, "b1", 8081, "local-clients = true")},
		ask{from: "balancer", by: "tcp udp", to: both, shares: shares{"b1:8081": 1}, sees: "192.0.2.1 2001:db8::1"},
		ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 1}},
	}},
	{name: "local-clients-in-turn", steps: steps{
		farms{"web": `
			listen        = ["192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"]
			local-clients = true
			scheduler     = "round-robin"
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
			[backends.b2]
			address = ["10.2.0.12", "fd00:2::12"]
		`},
		ask{from: "balancer", by: "tcp udp", to: both, shares: shares{"b1:80": 1, "b2:80": 1}, sees: "balancer", turns: true},
	}},
	{name: "local-clients-source-address", steps: steps{
		owns{"eth1", "10.2.0.9/24"}, owns{"eth1", "fd00:2::9/64"},
		farms{"web": one("snat", listenBoth, "b1", 8081, `source-address = ["10.2.0.9", "fd00:2::9"]`, "local-clients = true")},
		ask{from: "balancer", by: "tcp udp", to: both, shares: shares{"b1:8081": 1}, sees: "10.2.0.9 fd00:2::9"},
	}},
	{name: "local-clients-of-a-routed-address", lab: netlab.Options{NoVIPs: true}, steps: steps{
		outward,
		farms{"web": one("snat", listenBoth, "b1", 8081, "local-clients = true")},
		ask{from: "balancer", by: "tcp udp", to: both, shares: shares{"b1:8081": 1}, sees: "balancer"},
	}},
	// what a backend on the balancer itself sees isn't rewritten in any mode: the packet never leaves
	{name: "local-backend-snat", steps: steps{
		farms{"web": localBackend("snat")},
		ask{by: "tcp udp", to: both, shares: shares{"balancer:8081": 1}},
	}},
	{name: "local-backend-dnat", steps: steps{
		farms{"web": localBackend("dnat")},
		ask{by: "tcp udp", to: both, shares: shares{"balancer:8081": 1}},
	}},
	{name: "local-backend-beside-others", steps: steps{
		farms{"web": localBackend("dnat") + `
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
			weight  = 3
		`},
		ask{by: "tcp udp", to: both, shares: shares{"balancer:8081": 1, "b1:80": 3}},
	}},
	{name: "local-backend-and-local-clients", steps: steps{
		farms{"web": "local-clients = true\n" + localBackend("snat")},
		ask{from: "balancer", by: "tcp udp", to: both, shares: shares{"balancer:8081": 1}, sees: "192.0.2.1 fd00:2::1"},
		ask{by: "tcp udp", to: both, shares: shares{"balancer:8081": 1}},
	}},
	{name: "local-backend-at-the-service-itself", steps: steps{
		farms{"web": `
			listen        = "*:80/tcp,udp"
			local-clients = true
			[backends.proxy]
			address = ["192.0.2.1", "2001:db8::1"]
			port    = 8081
		`},
		ask{by: "tcp udp", to: both, shares: shares{"balancer:8081": 1}},
		ask{from: "balancer", by: "tcp udp", to: both, shares: shares{"balancer:8081": 1}, sees: "192.0.2.1 2001:db8::1"},
	}},
}
