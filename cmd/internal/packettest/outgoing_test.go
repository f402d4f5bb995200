package packettest

// outgoingCases: connections that backends open to other machines leave with the service's address.
var outgoingCases = []testCase{
	{name: "outgoing-all", steps: steps{
		farms{"web": oneBackend("snat", listen1, "b1", 8081, `outgoing = "all"`)},
		request{from: "b1", by: "tcp udp", to: clientAt80, shares: shares{"client:80": 1}, sees: service1Addresses},
		request{from: "b2", by: "tcp udp", to: clientAt80, shares: shares{"client:80": 1}},
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}, sees: "balancer"},
	}},
	{name: "outgoing-by-port-of-a-drained-backend", steps: steps{
		farms{"web": oneBackend("dnat", listen1, "b1", 8081, `outgoing = ["80", "53/udp"]`) + "\nstate = 'drain'\n"},
		request{from: "b1", by: "tcp", to: clientAt80, shares: shares{"client:80": 1}, sees: service1Addresses},
		request{from: "b1", by: "udp", to: clientAt80, shares: shares{"client:80": 1}},
		request{from: "b1", by: "udp", to: clientAt53, shares: shares{"client:53": 1}, sees: service1Addresses},
		request{from: "b1", by: "tcp", to: clientAt53, shares: shares{"client:53": 1}},
	}},
	{name: "outgoing-beside-a-farm-that-backends-ask", steps: steps{
		farms{
			"web":   oneBackend("snat", listen1, "b1", 8081, `outgoing = "all"`),
			"other": oneBackend("snat", listen2At443, "b2", 8082),
		},
		request{from: "b1", by: "tcp udp", to: service2At443, shares: shares{"b2:8082": 1}, sees: "balancer"},
	}},
	{name: "outgoing-comes-and-goes-under-connections", steps: steps{
		farms{"web": oneBackend("dnat", listen1, "b1", 8081)},
		converseFrom{"b1", 0, converse{"tcp udp", clientAt80}},
		farms{"web": oneBackend("dnat", listen1, "b1", 8081, `outgoing = "all"`)},
		continued{by: "tcp udp", with: "client"},
		request{from: "b1", by: "tcp udp", to: clientAt80, shares: shares{"client:80": 1}, sees: service1Addresses},
		converseFrom{"b1", 0, converse{"tcp udp", clientAt80}},
		farms{"web": oneBackend("dnat", listen1, "b1", 8081)},
		continued{by: "tcp udp", with: "client"},
		request{from: "b1", by: "tcp udp", to: clientAt80, shares: shares{"client:80": 1}},
	}},
}

// The client as a server, and the addresses of service1.
const (
	clientAt80        = "198.51.100.2:80 [2001:db8:c::2]:80"
	clientAt53        = "198.51.100.2:53 [2001:db8:c::2]:53"
	service1Addresses = "192.0.2.1 2001:db8::1"
)
