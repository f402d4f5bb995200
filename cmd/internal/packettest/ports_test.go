package packettest

var portCases = []testCase{
	{name: "port-not-listed-is-untouched", steps: steps{
		farms{"web": `
			listen = ["192.0.2.1:80/tcp", "[2001:db8::1]:80/udp"]
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
		`},
		request{by: "tcp", to: "192.0.2.1:80", shares: shares{"b1:80": 1}, sees: "balancer"},
		request{by: "udp", to: "[2001:db8::1]:80", shares: shares{"b1:80": 1}, sees: "balancer"},
		request{by: "udp", to: "192.0.2.1:80 192.0.2.2:80", shares: shares{"balancer:80": 1}},
		request{by: "tcp", to: "[2001:db8::1]:80 [2001:db8::2]:80", shares: shares{"balancer:80": 1}},
		request{by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"balancer:443": 1}},
	}},
	{name: "ports-list", steps: steps{
		farms{"web": `
			mode   = "dnat"
			listen = ["192.0.2.1:80,443,8000/tcp,udp", "[2001:db8::1]:80,443,8000/tcp,udp"]
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
		`},
		request{by: "tcp udp", to: service1, shares: shares{"b1:80": 1}},
		request{by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"b1:443": 1}},
		request{by: "tcp udp", to: "192.0.2.1:8000 [2001:db8::1]:8000", shares: shares{"b1:8000": 1}},
		request{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"balancer:8050": 1}},
	}},
	{name: "ports-list-keeps-some", steps: steps{
		farms{"web": `
			mode   = "dnat"
			listen = ["192.0.2.1:80,443/tcp,udp", "[2001:db8::1]:80,443/tcp,udp"]
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
			[backends.b2]
			address = ["10.2.0.12", "fd00:2::12"]
			port    = 8082
		`},
		request{by: "tcp udp", to: service1, shares: shares{"b1:80": 1, "b2:8082": 1}},
		request{by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"b1:443": 1, "b2:8082": 1}},
	}},
	{name: "range-keeps-the-port", steps: steps{
		farms{"web": `
			listen = ["192.0.2.1:8001-8099/tcp,udp", "[2001:db8::1]:8001-8099/tcp,udp"]
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
			weight  = 3
			[backends.b2]
			address = ["10.2.0.12", "fd00:2::12"]
		`},
		request{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b1:8050": 3, "b2:8050": 1},
			sees: "balancer"},
		request{by: "tcp udp", to: "192.0.2.1:8082 [2001:db8::1]:8082", shares: shares{"b1:8082": 3, "b2:8082": 1},
			sees: "balancer"},
		request{by: "tcp udp", to: "192.0.2.1:8000 [2001:db8::1]:8000", shares: shares{"balancer:8000": 1}},
		request{by: "tcp udp", to: "192.0.2.1:8100 [2001:db8::1]:8100", shares: shares{"balancer:8100": 1}},
	}},
	{name: "range-begins-and-ends", steps: steps{
		farms{"web": `
			listen = ["192.0.2.1:8000-8100/tcp,udp", "[2001:db8::1]:8000-8100/tcp,udp"]
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
		`},
		request{by: "tcp udp", to: "192.0.2.1:8000 [2001:db8::1]:8000", shares: shares{"b1:8000": 1}, sees: "balancer"},
		request{by: "tcp udp", to: "192.0.2.1:8100 [2001:db8::1]:8100", shares: shares{"b1:8100": 1}, sees: "balancer"},
		request{by: "tcp udp", to: service1, shares: shares{"balancer:80": 1}},
	}},
	{name: "range-to-one-port", steps: steps{
		farms{"web": `
			mode   = "dnat"
			listen = ["192.0.2.1:8000-8100/tcp,udp", "[2001:db8::1]:8000-8100/tcp,udp"]
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
			port    = 8081
			[backends.b2]
			address = ["10.2.0.12", "fd00:2::12"]
			port    = 443
			weight  = 2
		`},
		request{by: "tcp udp", to: "192.0.2.1:8000 [2001:db8::1]:8000", shares: shares{"b1:8081": 1, "b2:443": 2}},
		request{by: "tcp udp", to: "192.0.2.1:8100 [2001:db8::1]:8100", shares: shares{"b1:8081": 1, "b2:443": 2}},
	}},
	{name: "range-mixed-random", steps: steps{
		farms{"web": mixedPortsFarm("random")},
		request{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050",
			shares: shares{"b1:8050": 1, "b2:8082": 2, "b3:8050": 3}, sees: "balancer"},
	}},
	{name: "range-mixed-round-robin", steps: steps{
		farms{"web": mixedPortsFarm("round-robin")},
		request{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050",
			shares: shares{"b1:8050": 1, "b2:8082": 2, "b3:8050": 3}, sees: "balancer", inTurn: true},
	}},
	// requests over one protocol do not advance the turn of the other
	{name: "round-robin-by-protocol", steps: steps{
		farms{"web": oneBackend("snat", listen1, "b1", 8081, `scheduler = "round-robin"`) +
			"[backends.b2]\naddress = ['10.2.0.12', 'fd00:2::12']\nport = 8081\n"},
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1, "b2:8081": 1}, inTurn: true,
			interleaved: true, sees: "balancer"},
	}},
	{name: "range-mixed-hash", steps: steps{
		farms{"web": mixedPortsFarm("hash")},
		request{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050",
			shares: shares{"b1:8050": 1, "b2:8082": 2, "b3:8050": 3}, sees: "balancer"},
		sameBackends{"mixed", "tcp", "192.0.2.1:8050"},
		sameBackends{"mixed", "udp", "192.0.2.1:8050"},
	}},
	{name: "ports-and-ranges", steps: steps{
		farms{"web": `
			mode      = "dnat"
			scheduler = "round-robin"
			listen    = ["192.0.2.1:80,443,8000-8100/tcp,udp", "[2001:db8::1]:80,443,8000-8100/tcp,udp"]
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
			[backends.b2]
			address = ["10.2.0.12", "fd00:2::12"]
		`},
		request{by: "tcp udp", to: service1, shares: shares{"b1:80": 1, "b2:80": 1}, inTurn: true},
		request{by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"b1:443": 1, "b2:443": 1},
			inTurn: true},
		request{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b1:8050": 1, "b2:8050": 1},
			inTurn: true},
	}},
	{name: "all-snat", steps: steps{
		farms{"web": wholeAddressFarm("snat", "random")},
		request{by: "tcp udp", to: service1, shares: shares{"b1:80": 3, "b2:80": 1}, sees: "balancer"},
		pings{to: "192.0.2.1 2001:db8::1", shares: shares{"b1": 3, "b2": 1}},
		pings{to: "192.0.2.2 2001:db8::2", shares: shares{"balancer": 1}},
		oddPort(41234), oddPort(1), oddPort(65535),
		protocol253{"10.2.0.1"},
	}},
	{name: "all-dnat", steps: steps{
		farms{"web": wholeAddressFarm("dnat", "random")},
		request{by: "tcp udp", to: service1, shares: shares{"b1:80": 3, "b2:80": 1}},
		pings{to: "192.0.2.1 2001:db8::1", shares: shares{"b1": 3, "b2": 1}},
		protocol253{"198.51.100.2"},
	}},
	{name: "all-round-robin", steps: steps{
		farms{"web": wholeAddressFarm("dnat", "round-robin")},
		request{by: "tcp udp", to: service1, shares: shares{"b1:80": 3, "b2:80": 1}, inTurn: true},
		pings{to: "192.0.2.1 2001:db8::1", shares: shares{"b1": 3, "b2": 1}},
	}},
	{name: "all-hash", steps: steps{
		farms{"web": wholeAddressFarm("snat", "hash")},
		request{by: "tcp udp", to: service1, shares: shares{"b1:80": 3, "b2:80": 1}, sees: "balancer", times: 249},
		sameBackends{"all", "tcp", "192.0.2.1:443"},
		sameBackends{"all", "udp", "192.0.2.1:443"},
		pings{to: "192.0.2.1 2001:db8::1", shares: shares{"b1": 3, "b2": 1}},
	}},
}

// mixedPortsFarm has backends that keep the destination port, and one with a port.
func mixedPortsFarm(scheduler string) string {
	return `
		listen    = ["192.0.2.1:8000-8100/tcp,udp", "[2001:db8::1]:8000-8100/tcp,udp"]
		scheduler = "` + scheduler + `"
		[backends.b1]
		address = ["10.2.0.11", "fd00:2::11"]
		[backends.b2]
		address = ["10.2.0.12", "fd00:2::12"]
		port    = 8082
		weight  = 2
		[backends.b3]
		address = ["10.2.0.13", "fd00:2::13"]
		weight  = 3
	`
}
