package packettest

import (
	"slices"
	"time"
)

// persistenceRenewalCases: the packets of an open connection renew its client with renew = "packet", and only then.
func persistenceRenewalCases() (all []testCase) {
	for _, mode := range []string{"snat", "dnat"} {
		all = append(all, persistenceRenewalCase("renewed-by-packet-"+mode, mode, byPacket, "", renewed(true)),
			persistenceRenewalCase("renewed-by-connection-"+mode, mode, "timeout = '1h'", "", renewed(false)))
	}
	return slices.Concat(all, []testCase{
		persistenceRenewalCase("renewed-by-packet-with-backend-limits-on-one-machine", "snat", byPacket,
			"port = 8081\nconnections = 1000\n[backends.b1-too]\naddress = ['10.2.0.11', 'fd00:2::11']\nport = 8082\n",
			renewed(true)),
		persistenceRenewalCase("renewed-by-packet-of-a-network", "dnat", byPacket+"prefix = [28, 124]\n", "",
			renewed(true)),
		persistenceRenewalCase("renewed-by-packet-on-ports", "snat",
			byPacket+"on = ['source-address', 'destination-address', 'destination-port']\n", "", renewed(true)),
		// only a known client is renewed
		{name: "renewed-by-packet-forgets", steps: steps{
			persistentFarm("", byPacket, ""),
			converse{"tcp udp", service1},
			nftScript("flush map inet farmc farm/web/clients-ip4\nflush map inet farmc farm/web/clients-ip6\n"),
			continued{by: "tcp udp", with: "b1 b2 b3"},
			noClients("inet", "ip4"), noClients("inet", "ip6"),
		}},
		{name: "renewed-by-packet-longer-than-the-timeout", steps: steps{
			persistentFarm("", "renew = 'packet'\ntimeout = '5s'\n", ""),
			converse{"tcp udp", service1},
			stepFunc(talkFor(8 * time.Second)),
			keepsClients{"ip4"}, keepsClients{"ip6"},
		}},
		{name: "renewed-by-connection-until-the-timeout", steps: steps{
			persistentFarm("", "timeout = '2s'\n", ""),
			converse{"tcp udp", service1},
			eventually{steps{continued{by: "tcp udp", with: "b1 b2 b3"}, noClients("inet", "ip4"),
				noClients("inet", "ip6")}},
		}},
		// an open connection renews its client as soon as the farm says so, and the table stays
		{name: "renewed-by-packet-after-a-reload", steps: steps{
			persistentFarm("", "timeout = '1h'\n", ""),
			converse{"tcp udp", service1},
			ageClients("ip4"), ageClients("ip6"),
			persistentFarm("", byPacket, ""),
			checkClients{"ip4", renewed(false)}, checkClients{"ip6", renewed(false)},
			continued{by: "tcp udp", with: "b1 b2 b3"},
			checkClients{"ip4", renewed(true)}, checkClients{"ip6", renewed(true)},
			persistentFarm("", "timeout = '1h'\n", ""),
			ageClients("ip4"), ageClients("ip6"),
			continued{by: "tcp udp", with: "b1 b2 b3"},
			checkClients{"ip4", renewed(false)}, checkClients{"ip6", renewed(false)},
		}},
	})
}

const byPacket = "renew = 'packet'\ntimeout = '1h'\n"

// persistenceRenewalCase opens connections, of this machine, too, makes their clients half an hour old, and lets the
// connections go on.
func persistenceRenewalCase(name, mode, persistence, b1 string, then renewed) testCase {
	return testCase{name: name, steps: steps{
		persistentFarm("mode = '"+mode+"'", persistence, b1),
		converse{"tcp udp", service1},
		converseFrom{"balancer", 0, converse{"tcp udp", service1}},
		ageClients("ip4"), ageClients("ip6"),
		continued{by: "tcp udp", with: "b1 b2 b3"},
		checkClients{"ip4", then}, checkClients{"ip6", then},
	}}
}
