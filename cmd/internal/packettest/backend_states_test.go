package packettest

// stateScenes: backends that take no new connections, and farms that don't serve.
var stateScenes = []scene{
	{name: "backends-that-take-no-more", steps: steps{
		farms{"web": states("up", "up", "up")},
		hold{by: "tcp", to: both},
		ask{by: "tcp udp", to: both, shares: shares{"b1:80": 1, "b2:80": 1, "b3:80": 1}, sees: "balancer"},
		farms{"web": states("drain", "up", "drain")},
		ask{by: "tcp udp", to: both, shares: shares{"b2:80": 1}, times: 40, sees: "balancer"},
		ask{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b2:8050": 1}, times: 40, sees: "balancer"},
		echo{},
		farms{"web": states("up", "drain", "drain")},
		ask{by: "tcp udp", to: both, shares: shares{"b1:80": 1}, times: 40, sees: "balancer"},
		ask{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b1:8050": 1}, times: 40, sees: "balancer"},
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
		ask{by: "tcp udp", to: "192.0.2.1:80", shares: shares{"b1:80": 1}, sees: "balancer"},
		refused{by: "tcp udp", to: "[2001:db8::1]:80"},
		farms{"web": `
			listen = ["192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"]
			[backends.b1]
			address = "10.2.0.11"
			state   = "drain"
			[backends.b2]
			address = "fd00:2::12"
		`},
		ask{by: "tcp udp", to: "[2001:db8::1]:80", shares: shares{"b2:80": 1}, sees: "balancer"},
		refused{by: "tcp udp", to: "192.0.2.1:80"},
	}},
	// what is behind the address answers new connections, and the ones that are open go on, though the only farm that
	// there was is served no more
	{name: "farm-down", steps: steps{
		farms{"web": one("snat", listenBoth, "b1", 8081)},
		hold{by: "tcp", to: both},
		farms{"web": one("snat", listenBoth, "b1", 8081, `state = "down"`)},
		ask{by: "tcp udp", to: both, shares: shares{"balancer:80": 1}},
		echo{},
		farms{"web": one("snat", listenBoth, "b1", 8081)},
		ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 1}, sees: "balancer"},
		echo{},
	}},
	{name: "farm-gone", steps: steps{
		farms{"web": one("dnat", listenBoth, "b1", 8081)},
		hold{by: "tcp", to: both},
		farms{},
		ask{by: "tcp udp", to: both, shares: shares{"balancer:80": 1}},
		echo{},
	}},
	{name: "farm-down-among-others", steps: steps{
		farms{
			"web":   one("snat", listenBoth, "b1", 8081, `state = "down"`),
			"whole": one("snat", `"192.0.2.1", "2001:db8::1"`, "b3", 0),
		},
		ask{by: "tcp udp", to: both, shares: shares{"b3:80": 1}, sees: "balancer"},
	}},
}

func states(b1, b2, b3 string) string {
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
