package packettest

import "farmc/cmd/internal/netlab"

// remoteOnly is the key of a farm that does not serve connections of the balancer itself.
const remoteOnly = "local-clients = false"

// localCases: clients and backends on the balancer itself.
var localCases = []testCase{
	{name: "without-local-clients", steps: steps{
		farms{"web": oneBackend("snat", listen1, "b1", 8081, remoteOnly),
			"range": oneBackend("snat", `"192.0.2.1:8000-8099/tcp,udp", "[2001:db8::1]:8000-8099/tcp,udp"`, "b1", 0,
				remoteOnly),
			"any":   oneBackend("snat", `"*:443/tcp,udp"`, "b1", 0, remoteOnly),
			"whole": oneBackend("snat", `"192.0.2.2/all", "2001:db8::2/all"`, "b1", 0, remoteOnly)},
		request{from: "balancer", by: "tcp udp", to: service1, shares: shares{"balancer:80": 1},
			sees: "192.0.2.1 2001:db8::1"},
		request{from: "balancer", by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050",
			shares: shares{"balancer:8050": 1}, sees: "192.0.2.1 2001:db8::1"},
		request{from: "balancer", by: "tcp udp", to: "192.0.2.2:443 [2001:db8::2]:443",
			shares: shares{"balancer:443": 1}, sees: "192.0.2.2 2001:db8::2"},
		request{from: "balancer", by: "tcp udp", to: "192.0.2.3:443 [2001:db8::3]:443",
			shares: shares{"balancer:443": 1}, sees: "192.0.2.3 2001:db8::3"},
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}, sees: "balancer"},
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
			"range": oneBackend("snat", `"192.0.2.1:8001-8099/tcp,udp", "[2001:db8::1]:8001-8099/tcp,udp"`, "b2", 0,
				"local-clients = true"),
			"whole":   oneBackend("snat", `"192.0.2.2/all", "2001:db8::2/all"`, "b3", 0, "local-clients = true"),
			"any":     oneBackend("snat", `"*:443,8000-8099/tcp,udp"`, "b1", 0, "local-clients = true"),
			"outside": oneBackend("snat", `"192.0.2.1:53/tcp,udp", "[2001:db8::1]:53/tcp,udp"`, "b1", 0, remoteOnly),
		},
		request{from: "balancer", by: "tcp udp", to: service1, shares: shares{"b1:8081": 3, "b2:8082": 1},
			sees: "balancer"},
		request{from: "balancer", by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b2:8050": 1},
			sees: "balancer"},
		request{from: "balancer", by: "tcp udp", to: "192.0.2.2:443 [2001:db8::2]:443", shares: shares{"b3:443": 1},
			sees: "balancer"},
		request{from: "balancer", by: "tcp udp", to: "192.0.2.3:443 [2001:db8::3]:443", shares: shares{"b1:443": 1},
			sees: "balancer"},
		request{from: "balancer", by: "tcp udp", to: "10.2.0.1:8050 [fd00:2::1]:8050", shares: shares{"b1:8050": 1},
			sees: "balancer"},
		request{from: "balancer", by: "tcp udp", to: "192.0.2.1:53 [2001:db8::1]:53", shares: shares{"balancer:53": 1},
			sees: "192.0.2.1 2001:db8::1"},
		pings{from: "balancer", to: "192.0.2.2 2001:db8::2", shares: shares{"b3": 1}},
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 3, "b2:8082": 1}, sees: "balancer"},
	}},
	{name: "local-clients-by-default", steps: steps{
		farms{"snat": oneBackend("snat", listen1+`, "*:443,8000-8099/tcp,udp"`, "b1", 0),
			"dnat":  oneBackend("dnat", `"192.0.2.2:80/tcp,udp", "[2001:db8::2]:80/tcp,udp"`, "b2", 8082),
			"whole": oneBackend("snat", `"192.0.2.3/all", "2001:db8::3/all"`, "b3", 0),
			"remote": oneBackend("snat", `"*:8050/tcp,udp", "192.0.2.3:53/tcp,udp", "[2001:db8::3]:53/tcp,udp"`,
				"b1", 0, remoteOnly)},
		request{from: "balancer", by: "tcp udp", to: service1, shares: shares{"b1:80": 1}, sees: "balancer"},
		request{from: "balancer", by: "tcp udp", to: "192.0.2.9:443 [2001:db8::9]:443", shares: shares{"b1:443": 1},
			sees: "balancer"},
		request{from: "balancer", by: "tcp udp", to: service2, shares: shares{"b2:8082": 1},
			sees: "192.0.2.2 2001:db8::2"},
		request{from: "balancer", by: "tcp udp", to: service3, shares: shares{"b3:80": 1}, sees: "balancer"},
		request{from: "balancer", by: "tcp udp", to: service1At8050, shares: shares{"balancer:8050": 1},
			sees: "192.0.2.1 2001:db8::1"},
		request{from: "balancer", by: "tcp udp", to: "192.0.2.3:53 [2001:db8::3]:53", shares: shares{"balancer:53": 1},
			sees: "192.0.2.3 2001:db8::3"},
		request{by: "tcp udp", to: service1At8050, shares: shares{"b1:8050": 1}, sees: "balancer"},
	}},
	// the modes without connection tracking take packets of other machines only
	{name: "no-local-clients-of-stateless", steps: steps{
		farms{"web": statelessAtIngress},
		request{from: "balancer", by: "tcp", to: service1, shares: shares{"balancer:80": 1},
			sees: "192.0.2.1 2001:db8::1"},
		asksDNAT,
	}},
	// Docker's chain for connections that its host opens is loaded later, and takes every local address.
	{name: "local-clients-before-docker", steps: steps{
		farms{"web": oneBackend("snat", listen1, "b1", 8081)},
		nftScript(`table inet docker {
			chain DOCKER { tcp dport 80 dnat ip to 10.2.0.13:80; tcp dport 80 dnat ip6 to [fd00:2::13]:80; }
			chain OUTPUT { type nat hook output priority -100; fib daddr type local jump DOCKER; }
		}`),
		request{from: "balancer", by: "tcp", to: service1, shares: shares{"b1:8081": 1}, sees: "balancer"},
		request{from: "balancer", by: "tcp", to: service3, shares: shares{"b3:80": 1}, sees: "192.0.2.3 2001:db8::3"},
	}},
	// the kernel has chosen the service's address as the source, and the backend sees it
	{name: "local-clients-dnat", steps: steps{
		farms{"web": oneBackend("dnat", listen1, "b1", 8081, "local-clients = true")},
		request{from: "balancer", by: "tcp udp", to: service1, shares: shares{"b1:8081": 1},
			sees: "192.0.2.1 2001:db8::1"},
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}},
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
		request{from: "balancer", by: "tcp udp", to: service1, shares: shares{"b1:80": 1, "b2:80": 1}, sees: "balancer",
			inTurn: true},
	}},
	{name: "local-clients-source-address", steps: steps{
		addAddress{"eth1", "10.2.0.9/24"}, addAddress{"eth1", "fd00:2::9/64"},
		farms{"web": oneBackend("snat", listen1, "b1", 8081, `source-address = ["10.2.0.9", "fd00:2::9"]`,
			"local-clients = true")},
		request{from: "balancer", by: "tcp udp", to: service1, shares: shares{"b1:8081": 1},
			sees: "10.2.0.9 fd00:2::9"},
	}},
	{name: "local-clients-of-a-routed-address", lab: netlab.Options{NoVIPs: true}, steps: steps{
		addDefaultRoutes,
		farms{"web": oneBackend("snat", listen1, "b1", 8081, "local-clients = true")},
		request{from: "balancer", by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}, sees: "balancer"},
	}},
	// a backend on the balancer sees the client in every mode, because postrouting does not see the packet
	{name: "local-backend-snat", steps: steps{
		farms{"web": farmWithLocalBackend("snat")},
		request{by: "tcp udp", to: service1, shares: shares{"balancer:8081": 1}},
	}},
	{name: "local-backend-dnat", steps: steps{
		farms{"web": farmWithLocalBackend("dnat")},
		request{by: "tcp udp", to: service1, shares: shares{"balancer:8081": 1}},
	}},
	{name: "local-backend-beside-others", steps: steps{
		farms{"web": farmWithLocalBackend("dnat") + `
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
			weight  = 3
		`},
		request{by: "tcp udp", to: service1, shares: shares{"balancer:8081": 1, "b1:80": 3}},
	}},
	{name: "local-backend-and-local-clients", steps: steps{
		farms{"web": "local-clients = true\n" + farmWithLocalBackend("snat")},
		request{from: "balancer", by: "tcp udp", to: service1, shares: shares{"balancer:8081": 1},
			sees: "192.0.2.1 fd00:2::1"},
		request{by: "tcp udp", to: service1, shares: shares{"balancer:8081": 1}},
	}},
	{name: "local-backend-at-the-service-itself", steps: steps{
		farms{"web": `
			listen        = "*:80/tcp,udp"
			local-clients = true
			[backends.proxy]
			address = ["192.0.2.1", "2001:db8::1"]
			port    = 8081
		`},
		request{by: "tcp udp", to: service1, shares: shares{"balancer:8081": 1}},
		request{from: "balancer", by: "tcp udp", to: service1, shares: shares{"balancer:8081": 1},
			sees: "192.0.2.1 2001:db8::1"},
	}},
}
