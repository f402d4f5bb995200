package packettest

// hashCases: the same client reaches the same backend.
var hashCases = []testCase{
	{name: "hash-keeps-backends", steps: steps{
		farms{"web": hashFarm, "mail": oneBackend("snat", `"192.0.2.2:80"`, "b1", 0)},
		sameBackendsOfAll,
		// an unrelated change
		farms{"web": hashFarm, "mail": oneBackend("dnat", `"192.0.2.2:80,443"`, "b2", 8082),
			"news": oneBackend("snat", `"192.0.2.3:1-100/udp"`, "b3", 0, `scheduler = "hash"`)},
		sameBackendsOfAll,
		// another hash of the same shape
		farms{"web": hashFarm, "another": oneBackend("snat", `"192.0.2.3:80"`, "b1", 0, `scheduler = "hash"`)},
		sameBackendsOfAll,
		deleteTable,
		farms{"web": hashFarm},
		sameBackendsOfAll,
		onSecondTestbed{farms{"web": hashFarm}, sameBackendsOfAll},
	}},
	{name: "hash-is-even", steps: steps{
		farms{"web": hashFarm},
		request{by: "tcp udp", to: service1, shares: shares{"b1:80": 1, "b2:8082": 1, "b3:80": 1}, times: 249},
		request{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050",
			shares: shares{"b1:8050": 1, "b2:8082": 1, "b3:8050": 1}, times: 249},
		request{by: "tcp udp", to: "192.0.2.9:443 [2001:db8::9]:443",
			shares: shares{"b1:443": 1, "b2:8082": 1, "b3:443": 1}, times: 249},
	}},
}

const hashFarm = `
	mode      = "dnat"
	listen    = ["192.0.2.1:80,8000-8100/tcp,udp", "[2001:db8::1]:80,8000-8100/tcp,udp", "*:443/tcp,udp"]
	scheduler = "hash"
	[backends.b1]
	address = ["10.2.0.11", "fd00:2::11"]
	[backends.b2]
	address = ["10.2.0.12", "fd00:2::12"]
	port    = 8082
	[backends.b3]
	address = ["10.2.0.13", "fd00:2::13"]
`

// sameBackendsOfAll are requests to all kinds of frontends of hashFarm. TCP and UDP lead a client to the same backend.
var sameBackendsOfAll = steps{
	sameBackends{"ip4", "tcp", "192.0.2.1:80"}, sameBackends{"ip4", "udp", "192.0.2.1:80"},
	sameBackends{"ip6", "tcp", "[2001:db8::1]:80"}, sameBackends{"ip6", "udp", "[2001:db8::1]:80"},
	sameBackends{"range-ip4", "tcp", "192.0.2.1:8050"}, sameBackends{"range-ip4", "udp", "192.0.2.1:8050"},
	sameBackends{"range-ip6", "tcp", "[2001:db8::1]:8050"}, sameBackends{"range-ip6", "udp", "[2001:db8::1]:8050"},
	sameBackends{"any-ip4", "tcp", "192.0.2.9:443"}, sameBackends{"any-ip4", "udp", "192.0.2.9:443"},
	sameBackends{"any-ip6", "tcp", "[2001:db8::9]:443"}, sameBackends{"any-ip6", "udp", "[2001:db8::9]:443"},
}
