package packettest

import "farmc/cmd/internal/netlab"

// sourcePortCases: backends do not see source ports that the balancer serves on, and ports below 1024 stay below.
var sourcePortCases = []testCase{
	{name: "source-port-of-a-service", lab: netlab.Options{Backends: 1}, steps: steps{
		serveOn{"balancer", 1812},
		farms{
			"radius": oneBackend("snat", listen1, "b1", 1812),
			"time":   oneBackend("snat", `"192.0.2.2:80/udp", "[2001:db8::2]:80/udp"`, "b1", 123),
			"phones": oneBackend("snat", `"192.0.2.3:80/udp", "[2001:db8::3]:80/udp"`, "b1", 5060,
				`source-address = ["10.2.0.1", "fd00:2::1"]`),
			"moved": oneBackend("snat", `"192.0.2.4:80/udp", "[2001:db8::4]:80/udp"`, "b1", 500,
				`source-address = "masquerade"`),
		},
		serveOn{"balancer", 123}, serveOn{"balancer", 500}, serveOn{"balancer", 5060},
		asksBack{service1, 1812}, asksBack{"192.0.2.2:80 [2001:db8::2]:80", 123},
		asksBack{"192.0.2.3:80 [2001:db8::3]:80", 5060}, asksBack{"192.0.2.4:80 [2001:db8::4]:80", 500},
	}},
	{name: "source-port-below-1024", steps: steps{
		serveOn{"balancer", 871},
		farms{
			"web": oneBackend("snat", listen1, "b1", 8081),
			"own": oneBackend("snat", `"192.0.2.2:80/tcp,udp", "[2001:db8::2]:80/tcp,udp"`, "b1", 8081,
				"[backends.b2]\nsource-address = [\"10.2.0.1\", \"fd00:2::1\"]\n"+
					"address = [\"10.2.0.12\", \"fd00:2::12\"]"),
		},
		lowPort{service1, 870, 871}, lowPort{service1, 871, 871}, lowPort{service1, 123, 871},
		lowPort{"192.0.2.2:80 [2001:db8::2]:80", 870, 871}, lowPort{"192.0.2.2:80 [2001:db8::2]:80", 871, 871},
	}},
	{name: "source-port-of-the-kernel", steps: steps{
		farms{"web": twoBackendsIn("snat"), "own": oneBackend("snat", service2Listen, "b1", 0)},
		portsSeen{"tcp", service1, false}, portsSeen{"udp", service1, true},
		portsSeen{"tcp udp", "192.0.2.2:80 [2001:db8::2]:80", true},
		lowPort{service1, 870, 0}, lowPort{service1, 300, 0},
		farms{"web": twoBackendsIn("snat") + "[persistence]\n",
			"own": oneBackend("snat", service2Listen, "b1", 0, `source-address = ["10.2.0.1", "fd00:2::1"]`)},
		portsSeen{"tcp udp", service1, true}, lowPort{service1, 870, 0},
		farms{"web": `source-address = ["10.2.0.1", "fd00:2::1"]` + "\n" + twoBackendsIn("snat")},
		portsSeen{"tcp", service1, false}, portsSeen{"udp", service1, true}, lowPort{service1, 870, 0},
	}},
}

const service2Listen = `"192.0.2.2:80/tcp,udp", "[2001:db8::2]:80/tcp,udp"`

func twoBackendsIn(mode string) string {
	return oneBackend(mode, listen1, "b1", 0) + "[backends.b2]\naddress = [\"10.2.0.12\", \"fd00:2::12\"]\n"
}
