package packettest

// proxyWithSources is a farm of a service of the balancer, whose connections have other sources by their marks.
const proxyWithSources = `
	mode   = "local"
	listen = ["192.0.2.1:3128", "[2001:db8::1]:3128"]
	[sources]
	"0x200" = ["10.2.0.9", "fd00:2::9"]
	"0x201" = "10.2.0.10"
`

// markedSourceCases: connections that the balancer opens with a mark leave from the address of the mark.
var markedSourceCases = []testCase{
	{name: "marked-sources", steps: steps{
		addSources,
		farms{"proxy": proxyWithSources},
		request{from: "balancer", mark: 0x200, by: "tcp udp", to: b1At80, shares: shares{"b1:80": 1},
			sees: "10.2.0.9 fd00:2::9"},
		request{from: "balancer", mark: 0x201, by: "tcp udp", to: b1At80, shares: shares{"b1:80": 1},
			sees: "10.2.0.10 fd00:2::1"},
		request{from: "balancer", mark: 0x1200, by: "tcp udp", to: b1At80, shares: shares{"b1:80": 1},
			sees: "balancer"},
		request{from: "balancer", by: "tcp udp", to: b1At80, shares: shares{"b1:80": 1}, sees: "balancer"},
		request{from: "balancer", mark: 0x200, by: "tcp udp", to: service1At8050, shares: shares{"balancer:8050": 1},
			sees: "192.0.2.1 2001:db8::1"},
	}},
	// the mark of a packet that the balancer forwards belongs to other programs
	{name: "marked-sources-and-forwarded-packets", steps: steps{
		addSources,
		farms{"proxy": proxyWithSources},
		nftScript(`table inet others {
			chain marks { type filter hook prerouting priority mangle; meta mark set 0x200; }
		}`),
		request{by: "tcp udp", to: b1At80, shares: shares{"b1:80": 1}},
	}},
	{name: "marked-sources-beside-a-farm-of-snat", steps: steps{
		addSources,
		farms{"proxy": proxyWithSources, "web": oneBackend("snat", listen1, "b1", 8081, `outgoing = "all"`)},
		request{from: "balancer", mark: 0x200, by: "tcp udp", to: service1, shares: shares{"b1:8081": 1},
			sees: "balancer"},
		request{from: "balancer", mark: 0x200, by: "tcp udp", to: b1At80, shares: shares{"b1:80": 1},
			sees: "10.2.0.9 fd00:2::9"},
		request{from: "b1", by: "tcp udp", to: clientAt80, shares: shares{"client:80": 1}, sees: service1Addresses},
	}},
	{name: "marked-sources-come-and-go-under-connections", steps: steps{
		addSources,
		farms{"web": oneBackend("dnat", listen1, "b1", 8081)},
		converseMarked{0x200, converse{"tcp udp", b1At80}},
		farms{"proxy": proxyWithSources},
		continued{by: "tcp udp", with: "b1"},
		converseMarked{0x200, converse{"tcp udp", b1At80}},
		request{from: "balancer", mark: 0x200, by: "tcp udp", to: b1At80, shares: shares{"b1:80": 1},
			sees: "10.2.0.9 fd00:2::9"},
		farms{"web": oneBackend("dnat", listen1, "b1", 8081)},
		continued{by: "tcp udp", with: "b1"},
		request{from: "balancer", mark: 0x200, by: "tcp udp", to: b1At80, shares: shares{"b1:80": 1},
			sees: "balancer"},
	}},
}

// addSources gives the balancer the addresses of proxyWithSources.
var addSources = steps{addAddress{"eth1", "10.2.0.9/24"}, addAddress{"eth1", "10.2.0.10/24"},
	addAddress{"eth1", "fd00:2::9/64"}}

// b1At80 is the backend itself.
const b1At80 = "10.2.0.11:80 [fd00:2::11]:80"

// converseMarked is converse from the balancer, with a mark.
type converseMarked struct {
	mark int
	converse
}

func (t converseMarked) do(s *testbed) error {
	return converseFrom{"balancer", t.mark, t.converse}.do(s)
}
