package packettest

// hashScenes: the same client meets the same backend.
var hashScenes = []scene{
	{name: "hash-meets-again", steps: steps{
		farms{"web": hashed, "mail": one("snat", `"192.0.2.2:80"`, "b1", 0)},
		meetings,
		// an unrelated change
		farms{"web": hashed, "mail": one("dnat", `"192.0.2.2:80,443"`, "b2", 8082), "news": one("snat", `"192.0.2.3:1-100/udp"`, "b3", 0, `scheduler = "hash"`)},
		meetings,
		// another hash of the same shape
		farms{"web": hashed, "another": one("snat", `"192.0.2.3:80"`, "b1", 0, `scheduler = "hash"`)},
		meetings,
		wipe,
		farms{"web": hashed},
		meetings,
		elsewhere{farms{"web": hashed}, meetings},
	}},
	{name: "hash-is-even", steps: steps{
		farms{"web": hashed},
		ask{by: "tcp udp", to: both, shares: shares{"b1:80": 1, "b2:8082": 1, "b3:80": 1}, times: 249},
		ask{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050", shares: shares{"b1:8050": 1, "b2:8082": 1, "b3:8050": 1}, times: 249},
		ask{by: "tcp udp", to: "192.0.2.9:443 [2001:db8::9]:443", shares: shares{"b1:443": 1, "b2:8082": 1, "b3:443": 1}, times: 249},
	}},
}

const hashed = `
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

// meetings are those of a hashed farm by all its kinds of doors. What one client is told by TCP it is told by UDP.
var meetings = steps{
	meet{"ip4", "tcp", "192.0.2.1:80"}, meet{"ip4", "udp", "192.0.2.1:80"},
	meet{"ip6", "tcp", "[2001:db8::1]:80"}, meet{"ip6", "udp", "[2001:db8::1]:80"},
	meet{"range-ip4", "tcp", "192.0.2.1:8050"}, meet{"range-ip4", "udp", "192.0.2.1:8050"},
	meet{"range-ip6", "tcp", "[2001:db8::1]:8050"}, meet{"range-ip6", "udp", "[2001:db8::1]:8050"},
	meet{"any-ip4", "tcp", "192.0.2.9:443"}, meet{"any-ip4", "udp", "192.0.2.9:443"},
	meet{"any-ip6", "tcp", "[2001:db8::9]:443"}, meet{"any-ip6", "udp", "[2001:db8::9]:443"},
}
