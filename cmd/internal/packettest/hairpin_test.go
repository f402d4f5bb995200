package packettest

// hairpinCases: in mode dnat with hairpin, clients in the backends' network are answered, and backends see all other
// clients as they are.
var hairpinCases = []testCase{
	{name: "hairpin", steps: steps{
		farms{"web": turnsFarm("dnat", listen1, hairpinKey)},
		request{by: "tcp udp", to: service1, shares: shares{"b1:80": 1, "b2:80": 1}},
		request{from: "b3", by: "tcp udp", to: service1, shares: shares{"b1:80": 1, "b2:80": 1}, sees: "balancer"},
		request{from: "b1", by: "tcp udp", to: service1, shares: shares{"b1:80": 1, "b2:80": 1}, sees: "balancer"},
	}},
	{name: "hairpin-of-one-family", steps: steps{
		farms{"web": oneBackend("dnat", listen1, "b1", 8081, `hairpin = "fd00:2::/64"`)},
		request{from: "b3", by: "tcp udp", to: "[2001:db8::1]:80", shares: shares{"b1:8081": 1}, sees: "balancer"},
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}},
	}},
	{name: "hairpin-of-a-whole-address-and-persistence", steps: steps{
		farms{"web": oneBackend("dnat", listenWhole2, "b1", 0, hairpinKey, "[persistence]")},
		request{from: "b3", by: "tcp udp", to: service2, shares: shares{"b1:80": 1}, sees: "balancer"},
		request{by: "tcp udp", to: service2, shares: shares{"b1:80": 1}},
		pings{from: "b3", to: "192.0.2.2 2001:db8::2", shares: shares{"b1": 1}},
	}},
	{name: "hairpin-beside-a-farm-without", steps: steps{
		farms{
			"web": oneBackend("dnat", `"192.0.2.1:80-90/tcp,udp", "[2001:db8::1]:80-90/tcp,udp"`, "b1", 8081,
				hairpinKey),
			"other": oneBackend("dnat", listen2At443, "b2", 8082),
		},
		request{from: "b3", by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}, sees: "balancer"},
		request{by: "tcp udp", to: service2At443, shares: shares{"b2:8082": 1}},
	}},
	{name: "hairpin-comes-and-goes-under-connections", steps: steps{
		farms{"web": oneBackend("dnat", listen1, "b1", 8081)},
		converse{"tcp udp", service1},
		farms{"web": oneBackend("dnat", listen1, "b1", 8081, hairpinKey)},
		continued{by: "tcp udp", with: "b1"},
		converseFrom{"b3", 0, converse{"tcp udp", service1}},
		farms{"web": oneBackend("dnat", listen1, "b1", 8081)},
		continued{by: "tcp udp", with: "b1"},
	}},
}

const hairpinKey = `hairpin = ["10.2.0.0/24", "fd00:2::/64"]`
