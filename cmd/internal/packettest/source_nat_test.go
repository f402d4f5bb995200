package packettest

import "farmc/cmd/internal/netlab"

// sourceNATCases: backends see the right source address in mode snat.
var sourceNATCases = []testCase{
	{name: "source-address", steps: steps{
		addAddress{"eth1", "10.2.0.9/24"}, addAddress{"eth1", "fd00:2::9/64"},
		farms{"web": oneBackend("snat", listen1, "b1", 8081, `source-address = ["10.2.0.9", "fd00:2::9"]`)},
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}, sees: "10.2.0.9 fd00:2::9"},
	}},
	{name: "source-address-of-one-family", steps: steps{
		addAddress{"eth1", "10.2.0.9/24"}, addAddress{"eth1", "fd00:2::9/64"},
		farms{
			"web": oneBackend("snat", listen1, "b1", 8081, `source-address = "fd00:2::9"`),
			"mail": oneBackend("snat", `"192.0.2.2:80/tcp,udp", "[2001:db8::2]:80/tcp,udp"`, "b1", 8081,
				`source-address = "10.2.0.9"`),
		},
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}, sees: "10.2.0.1 fd00:2::9"},
		request{by: "tcp udp", to: "192.0.2.2:80 [2001:db8::2]:80", shares: shares{"b1:8081": 1},
			sees: "10.2.0.9 fd00:2::1"},
	}},
	{name: "source-address-of-backends", steps: steps{
		addAddress{"eth1", "10.2.0.9/24"}, addAddress{"eth1", "10.2.0.8/24"}, addAddress{"eth1", "fd00:2::9/64"},
		addAddress{"eth1", "fd00:2::8/64"},
		farms{"web": `
			listen         = ["192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"]
			source-address = ["10.2.0.9", "fd00:2::9"]
			scheduler      = "round-robin"
			[backends.b1]
			address        = ["10.2.0.11", "fd00:2::11"]
			source-address = ["10.2.0.8", "fd00:2::8"]
		`, "others": `
			listen         = ["192.0.2.1:443/tcp,udp", "[2001:db8::1]:443/tcp,udp"]
			source-address = ["10.2.0.9", "fd00:2::9"]
			[backends.b1]
			address        = ["10.2.0.11", "fd00:2::11"]
			source-address = ["10.2.0.8", "fd00:2::8"]
			state          = "drain"
			[backends.b2]
			address        = ["10.2.0.12", "fd00:2::12"]
		`, "machine": `
			listen = ["192.0.2.1:53/tcp,udp", "[2001:db8::1]:53/tcp,udp"]
			[backends.b1]
			address        = ["10.2.0.11", "fd00:2::11"]
			source-address = "fd00:2::8"
		`},
		request{by: "tcp udp", to: service1, shares: shares{"b1:80": 1}, sees: "10.2.0.8 fd00:2::8"},
		request{by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"b2:443": 1},
			sees: "10.2.0.9 fd00:2::9"},
		request{by: "tcp udp", to: "192.0.2.1:53 [2001:db8::1]:53", shares: shares{"b1:53": 1},
			sees: "10.2.0.1 fd00:2::8"},
	}},
	{name: "source-address-of-one-machine", steps: steps{
		addAddress{"eth1", "10.2.0.9/24"}, addAddress{"eth1", "fd00:2::9/64"},
		farms{"web": `
			listen = ["192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"]
			[backends.b1]
			address        = ["10.2.0.11", "fd00:2::11"]
			port           = 8081
			source-address = ["10.2.0.9", "fd00:2::9"]
			[backends.b1-too]
			address        = ["10.2.0.11", "fd00:2::11"]
			port           = 8082
			source-address = ["10.2.0.9", "fd00:2::9"]
		`},
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1, "b1:8082": 1}, sees: "10.2.0.9 fd00:2::9"},
	}},
	{name: "source-address-of-a-whole-address", steps: steps{
		addAddress{"eth1", "10.2.0.9/24"}, addAddress{"eth1", "fd00:2::9/64"},
		farms{"web": oneBackend("snat", `"192.0.2.1/all", "2001:db8::1/all"`, "b1", 0,
			`source-address = ["10.2.0.9", "fd00:2::9"]`)},
		request{by: "tcp udp", to: service1, shares: shares{"b1:80": 1}, sees: "10.2.0.9 fd00:2::9"},
		protocol253{"10.2.0.9"},
	}},
	{name: "source-address-of-a-range-and-any-address", steps: steps{
		addAddress{"eth1", "10.2.0.9/24"}, addAddress{"eth1", "10.2.0.8/24"}, addAddress{"eth1", "fd00:2::9/64"},
		addAddress{"eth1", "fd00:2::8/64"},
		farms{
			"range": oneBackend("snat", `"192.0.2.1:8001-8099/tcp,udp", "[2001:db8::1]:8001-8099/tcp,udp"`, "b1", 0,
				`source-address = ["10.2.0.9", "fd00:2::9"]`),
			"any": oneBackend("snat", `"*:80,8000-8099/tcp,udp"`, "b2", 0,
				`source-address = ["10.2.0.8", "fd00:2::8"]`),
		},
		request{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b1:8050": 1},
			sees: "10.2.0.9 fd00:2::9"},
		request{by: "tcp udp", to: "192.0.2.2:8050 [2001:db8::2]:8050", shares: shares{"b2:8050": 1},
			sees: "10.2.0.8 fd00:2::8"},
		request{by: "tcp udp", to: service1, shares: shares{"b2:80": 1}, sees: "10.2.0.8 fd00:2::8"},
	}},
	{name: "one-armed", lab: netlab.Options{OneArmed: true}, steps: steps{
		farms{
			"web": `
				listen = ["192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"]
				[backends.b1]
				address = ["10.2.0.11", "fd00:2::11"]
				port    = 8081
				weight  = 3
				[backends.b2]
				address = ["10.2.0.12", "fd00:2::12"]
				port    = 8082
			`,
			"range": oneBackend("snat", `"192.0.2.1:8001-8099/tcp,udp", "[2001:db8::1]:8001-8099/tcp,udp"`, "b1", 0),
			"whole": oneBackend("snat", `"192.0.2.2/all", "2001:db8::2/all"`, "b3", 0),
			"any":   oneBackend("snat", `"*:443/tcp,udp"`, "b2", 0),
		},
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 3, "b2:8082": 1}, sees: "balancer"},
		request{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b1:8050": 1}, sees: "balancer"},
		request{by: "tcp udp", to: "192.0.2.2:80 [2001:db8::2]:80", shares: shares{"b3:80": 1}, sees: "balancer"},
		request{by: "tcp udp", to: "10.2.0.1:443 [fd00:2::1]:443", shares: shares{"b2:443": 1}, sees: "balancer"},
		pings{to: "192.0.2.2 2001:db8::2", shares: shares{"b3": 1}},
		// a backend as a client, and as a client of itself
		request{from: "b3", by: "tcp udp", to: service1, shares: shares{"b1:8081": 3, "b2:8082": 1}, sees: "balancer"},
		request{from: "b1", by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b1:8050": 1},
			sees: "balancer"},
	}},
}
