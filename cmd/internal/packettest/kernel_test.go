package packettest

// kernelScenes: what lies beside the choice of a backend.
var kernelScenes = []scene{
	{name: "no-marks", steps: steps{
		foreign(`table inet spy {
			chain postrouting { type filter hook postrouting priority 300; meta mark != 0 drop; ct mark != 0 drop; }
			chain input { type filter hook input priority 300; meta mark != 0 drop; ct mark != 0 drop; }
		}`),
		farms{
			"snat":  weightedBy("random", 3, 1),
			"dnat":  one("dnat", `"192.0.2.2:80,443,8000-8100/tcp,udp", "[2001:db8::2]:80,443,8000-8100/tcp,udp"`, "b1", 0, `scheduler = "hash"`),
			"turns": one("snat", `"*:443/tcp,udp"`, "b2", 0, `scheduler = "round-robin"`),
			"all":   one("snat", `"192.0.2.3", "2001:db8::3"`, "b3", 0),
		},
		ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 3, "b2:8082": 1}, times: 40, sees: "balancer"},
		ask{by: "tcp udp", to: "192.0.2.2:443 [2001:db8::2]:443", shares: shares{"b1:443": 1}},
		ask{by: "tcp udp", to: "192.0.2.2:8050 [2001:db8::2]:8050", shares: shares{"b1:8050": 1}},
		ask{by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"b2:443": 1}, sees: "balancer"},
		ask{by: "tcp udp", to: "192.0.2.3:443 [2001:db8::3]:443", shares: shares{"b3:443": 1}, sees: "balancer"},
		deed(unmarked),
	}},
	{name: "established-meets-no-rule", steps: steps{
		farms{"web": weightedBy("random", 3, 1), "mail": "invalid = 'pass'\n" + whole("dnat", "round-robin"), "any": one("snat", `"*:443,8000-8100/tcp,udp"`, "b1", 0)},
		hold{by: "tcp udp", to: both + " 192.0.2.1:443 [2001:db8::1]:443 192.0.2.2:443 [2001:db8::2]:443 192.0.2.2:8050 [2001:db8::2]:8050"},
		deed(onlyNewMeetRules),
	}},
	// backends of mode dnat answer clients through this machine
	{name: "established-of-dnat-meet-one-chain", steps: steps{
		farms{"web": weightedBy("random", 3, 1), "mail": whole("dnat", "round-robin")},
		hold{by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443"},
		deed(establishedMeetOneChain),
	}},
	// a farm without local-clients has no part in them, with and without backends
	{name: "local-is-not-looked-for", steps: steps{
		spy, spyOut,
		farms{"web": one("snat", listenBoth, "b1", 0), "any": one("snat", `"*:443/tcp,udp"`, "b1", 0)},
		localsMeet{"farmc invalid-input", "farmc postrouting", "spy output", "spy prerouting"},
		farms{"web": one("snat", listenBoth, "b1", 0) + `state = "down"`},
		localsMeet{"farmc invalid-input", "spy output", "spy prerouting"},
	}},
	{name: "large-packets", steps: steps{
		farms{
			"snat":  one("snat", listenBoth, "b1", 8081),
			"dnat":  one("dnat", `"192.0.2.2:80/tcp,udp", "[2001:db8::2]:80/tcp,udp"`, "b2", 0),
			"range": one("snat", `"192.0.2.2:8000-8100/tcp,udp", "[2001:db8::2]:8000-8100/tcp,udp"`, "b3", 0),
			"all":   one("dnat", `"192.0.2.3", "2001:db8::3"`, "b1", 0),
		},
		ask{by: "tcp udp", to: both, shares: shares{"b1:8081": 1}, sees: "balancer"},
		carry{"udp", both, 4000}, carry{"tcp", both, 300_000},
		ask{by: "tcp udp", to: "192.0.2.2:80 [2001:db8::2]:80", shares: shares{"b2:80": 1}},
		carry{"udp", "192.0.2.2:80 [2001:db8::2]:80", 4000}, carry{"tcp", "192.0.2.2:80 [2001:db8::2]:80", 300_000},
		ask{by: "tcp udp", to: "192.0.2.2:8050 [2001:db8::2]:8050", shares: shares{"b3:8050": 1}, sees: "balancer"},
		carry{"udp", "192.0.2.2:8050 [2001:db8::2]:8050", 4000}, carry{"tcp", "192.0.2.2:8050 [2001:db8::2]:8050", 300_000},
		ask{by: "tcp udp", to: "192.0.2.3:80 [2001:db8::3]:80", shares: shares{"b1:80": 1}},
		carry{"udp", "192.0.2.3:80 [2001:db8::3]:80", 4000}, carry{"tcp", "192.0.2.3:80 [2001:db8::3]:80", 300_000},
	}},
	// a farm that takes whole addresses, of the very link that clients come by
	{name: "neighbour-discovery", steps: steps{
		farms{"all": one("dnat", `"203.0.113.1", "2001:db8:f::1"`, "b1", 0)},
		ask{by: "tcp udp", to: "203.0.113.1:80 [2001:db8:f::1]:80", shares: shares{"b1:80": 1}},
		pings{to: "203.0.113.1 2001:db8:f::1", shares: shares{"b1": 1}},
		deed(neighboursAnswer),
		farms{"all": one("dnat", `"203.0.113.1", "2001:db8:f::1"`, "b1", 0) + `state = "down"`},
		refused{by: "tcp udp", to: "203.0.113.1:80 [2001:db8:f::1]:80"},
		deed(neighboursAnswer),
	}},
}
