package packettest

// backendStateCases: backends that take no new connections, and farms that are down.
var backendStateCases = []testCase{
	{name: "drained-backends-take-no-connections", steps: steps{
		farms{"web": farmWithStates("up", "up", "up")},
		hold{by: "tcp", to: service1},
		request{by: "tcp udp", to: service1, shares: shares{"b1:80": 1, "b2:80": 1, "b3:80": 1}, sees: "balancer"},
		farms{"web": farmWithStates("drain", "up", "drain")},
		request{by: "tcp udp", to: service1, shares: shares{"b2:80": 1}, times: 40, sees: "balancer"},
		request{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b2:8050": 1}, times: 40,
			sees: "balancer"},
		echo{},
		farms{"web": farmWithStates("up", "drain", "drain")},
		request{by: "tcp udp", to: service1, shares: shares{"b1:80": 1}, times: 40, sees: "balancer"},
		request{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b1:8050": 1}, times: 40,
			sees: "balancer"},
		echo{},
	}},
	{name: "backend-of-one-family-down", steps: steps{
		farms{"web": `
			listen = ["192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"]
			[backends.b1]
			address = "10.2.0.11"
			[backends.b2]
			address = "fd00:2::12"
			state   = "down"
		`},
		request{by: "tcp udp", to: "192.0.2.1:80", shares: shares{"b1:80": 1}, sees: "balancer"},
		refused{by: "tcp udp", to: "[2001:db8::1]:80"},
		farms{"web": `
			listen = ["192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"]
			[backends.b1]
			address = "10.2.0.11"
			state   = "drain"
			[backends.b2]
			address = "fd00:2::12"
		`},
		request{by: "tcp udp", to: "[2001:db8::1]:80", shares: shares{"b2:80": 1}, sees: "balancer"},
		refused{by: "tcp udp", to: "192.0.2.1:80"},
	}},
	// without its only farm the service's own machine answers new connections, and open connections go on
	{name: "farm-down-leaves-the-address", steps: steps{
		farms{"web": oneBackend("snat", listen1, "b1", 8081)},
		hold{by: "tcp", to: service1},
		farms{"web": oneBackend("snat", listen1, "b1", 8081, `state = "down"`)},
		request{by: "tcp udp", to: service1, shares: shares{"balancer:80": 1}},
		echo{},
		farms{"web": oneBackend("snat", listen1, "b1", 8081)},
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}, sees: "balancer"},
		echo{},
	}},
	{name: "removed-farm-leaves-the-address", steps: steps{
		farms{"web": oneBackend("dnat", listen1, "b1", 8081)},
		hold{by: "tcp", to: service1},
		farms{},
		request{by: "tcp udp", to: service1, shares: shares{"balancer:80": 1}},
		echo{},
	}},
	{name: "farm-down-inside-another", steps: steps{
		farms{
			"web":   oneBackend("snat", listen1, "b1", 8081, `state = "down"`),
			"whole": oneBackend("snat", `"192.0.2.1/all", "2001:db8::1/all"`, "b3", 0),
		},
		request{by: "tcp udp", to: service1, shares: shares{"b3:80": 1}, sees: "balancer"},
	}},
}

func farmWithStates(b1, b2, b3 string) string {
	return `
		listen = ["192.0.2.1:80,8000-8100/tcp,udp", "[2001:db8::1]:80,8000-8100/tcp,udp"]
		[backends.b1]
		address = ["10.2.0.11", "fd00:2::11"]
		state   = "` + b1 + `"
		[backends.b2]
		address = ["10.2.0.12", "fd00:2::12"]
		state   = "` + b2 + `"
		[backends.b3]
		address = ["10.2.0.13", "fd00:2::13"]
		state   = "` + b3 + `"
	`
}
