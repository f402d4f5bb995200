package packettest

// kernelCases: effects beyond the pick of a backend.
var kernelCases = []testCase{
	{name: "no-marks-are-set", steps: steps{
		nftScript(`table inet spy {
			chain postrouting { type filter hook postrouting priority 300; meta mark != 0 drop; ct mark != 0 drop; }
			chain input { type filter hook input priority 300; meta mark != 0 drop; ct mark != 0 drop; }
		}`),
		farms{
			"snat": weightedFarm("random", 3, 1),
			"dnat": oneBackend("dnat",
				`"192.0.2.2:80,443,8000-8100/tcp,udp", "[2001:db8::2]:80,443,8000-8100/tcp,udp"`, "b1", 0,
				`scheduler = "hash"`),
			"turns": oneBackend("snat", `"*:443/tcp,udp"`, "b2", 0, `scheduler = "round-robin"`),
			"all":   oneBackend("snat", `"192.0.2.3/all", "2001:db8::3/all"`, "b3", 0),
		},
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 3, "b2:8082": 1}, times: 40, sees: "balancer"},
		request{by: "tcp udp", to: "192.0.2.2:443 [2001:db8::2]:443", shares: shares{"b1:443": 1}},
		request{by: "tcp udp", to: "192.0.2.2:8050 [2001:db8::2]:8050", shares: shares{"b1:8050": 1}},
		request{by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"b2:443": 1}, sees: "balancer"},
		request{by: "tcp udp", to: "192.0.2.3:443 [2001:db8::3]:443", shares: shares{"b3:443": 1}, sees: "balancer"},
		stepFunc(unmarked),
	}},
	{name: "established-meets-no-rule", steps: steps{
		farms{"web": weightedFarm("random", 3, 1),
			"mail": "invalid = 'pass'\n" + wholeAddressFarm("dnat", "round-robin"),
			"any":  oneBackend("snat", `"*:443,8000-8100/tcp,udp"`, "b1", 0)},
		hold{by: "tcp udp", to: service1 +
			" 192.0.2.1:443 [2001:db8::1]:443 192.0.2.2:443 [2001:db8::2]:443 192.0.2.2:8050 [2001:db8::2]:8050"},
		stepFunc(establishedMeetNoRule),
	}},
	// backends of mode dnat answer clients through the balancer
	{name: "established-of-dnat-meets-one-chain", steps: steps{
		farms{"web": weightedFarm("random", 3, 1), "mail": wholeAddressFarm("dnat", "round-robin")},
		hold{by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443"},
		stepFunc(establishedMeetOneChain),
	}},
	// without local-clients the farm does not see local connections, with and without backends
	{name: "local-packets-meet-no-farm", steps: steps{
		traceInput, traceOutput,
		farms{"web": oneBackend("snat", listen1, "b1", 0, remoteOnly),
			"any": oneBackend("snat", `"*:443/tcp,udp"`, "b1", 0, remoteOnly)},
		localRequestsMeet{"farmc invalid-input", "farmc postrouting", "spy output", "spy prerouting"},
		farms{"web": oneBackend("snat", listen1, "b1", 0, remoteOnly) + `state = "down"`},
		localRequestsMeet{"farmc invalid-input", "spy output", "spy prerouting"},
	}},
	{name: "large-packets-pass", steps: steps{
		farms{
			"snat":  oneBackend("snat", listen1, "b1", 8081),
			"dnat":  oneBackend("dnat", `"192.0.2.2:80/tcp,udp", "[2001:db8::2]:80/tcp,udp"`, "b2", 0),
			"range": oneBackend("snat", `"192.0.2.2:8000-8100/tcp,udp", "[2001:db8::2]:8000-8100/tcp,udp"`, "b3", 0),
			"all":   oneBackend("dnat", `"192.0.2.3/all", "2001:db8::3/all"`, "b1", 0),
		},
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}, sees: "balancer"},
		transfer{"udp", service1, 4000}, transfer{"tcp", service1, 300_000},
		request{by: "tcp udp", to: "192.0.2.2:80 [2001:db8::2]:80", shares: shares{"b2:80": 1}},
		transfer{"udp", "192.0.2.2:80 [2001:db8::2]:80", 4000},
		transfer{"tcp", "192.0.2.2:80 [2001:db8::2]:80", 300_000},
		request{by: "tcp udp", to: "192.0.2.2:8050 [2001:db8::2]:8050", shares: shares{"b3:8050": 1}, sees: "balancer"},
		transfer{"udp", "192.0.2.2:8050 [2001:db8::2]:8050", 4000},
		transfer{"tcp", "192.0.2.2:8050 [2001:db8::2]:8050", 300_000},
		request{by: "tcp udp", to: "192.0.2.3:80 [2001:db8::3]:80", shares: shares{"b1:80": 1}},
		transfer{"udp", "192.0.2.3:80 [2001:db8::3]:80", 4000},
		transfer{"tcp", "192.0.2.3:80 [2001:db8::3]:80", 300_000},
	}},
	// a farm on the whole address of the link that clients use
	{name: "neighbour-discovery", steps: steps{
		farms{"all": oneBackend("dnat", `"203.0.113.1/all", "2001:db8:f::1/all"`, "b1", 0)},
		request{by: "tcp udp", to: "203.0.113.1:80 [2001:db8:f::1]:80", shares: shares{"b1:80": 1}},
		pings{to: "203.0.113.1 2001:db8:f::1", shares: shares{"b1": 1}},
		stepFunc(neighboursAnswer),
		farms{"all": oneBackend("dnat", `"203.0.113.1/all", "2001:db8:f::1/all"`, "b1", 0) + `state = "down"`},
		refused{by: "tcp udp", to: "203.0.113.1:80 [2001:db8:f::1]:80"},
		stepFunc(neighboursAnswer),
	}},
}
