package packettest

import (
	"fmt"
	"net/netip"
	"time"

	"farmc/cmd/internal/netlab"
)

// routeLocalnet lets packets from 127.0.0.1 leave the balancer.
var routeLocalnet = sysctls{"net.ipv4.conf.all.route_localnet", "1"}

const loopback80 = "127.0.0.1:80"

// loopbackCases: programs of the balancer connect to a loopback address that a farm listens on.
var loopbackCases = []testCase{
	{name: "loopback-snat", steps: steps{
		routeLocalnet,
		farms{"web": oneBackend("snat", `"127.0.0.1:80/tcp,udp"`, "b1", 8081),
			"other": oneBackend("snat", `"*:443/tcp"`, "b2", 0)},
		request{from: "balancer", by: "tcp udp", to: loopback80, shares: shares{"b1:8081": 1}, sees: "balancer"},
		request{from: "balancer", by: "tcp", to: "127.0.0.1:443", shares: shares{"balancer:443": 1}, sees: "127.0.0.1"},
		request{from: "balancer", by: "tcp", to: "127.0.0.2:80", shares: shares{"balancer:80": 1}, sees: "127.0.0.1"},
	}},
	{name: "loopback-dnat", steps: steps{
		routeLocalnet,
		farms{"web": oneBackend("dnat", `"127.0.0.1:80/tcp,udp", "192.0.2.1:80/tcp,udp"`, "b1", 8081)},
		request{from: "balancer", by: "tcp udp", to: loopback80, shares: shares{"b1:8081": 1}, sees: "balancer"},
		request{by: "tcp udp", to: "192.0.2.1:80", shares: shares{"b1:8081": 1}},
	}},
	{name: "loopback-persistence", steps: steps{
		routeLocalnet,
		farms{"web": `
			listen = "127.0.0.1:80"
			[persistence]
			timeout = "60s"
			[backends.b1]
			address = "10.2.0.11"
			[backends.b2]
			address = "10.2.0.12"
			state   = "drain"
			[limits]
			connections-per-client = 100
		`},
		request{from: "balancer", by: "tcp", to: loopback80, shares: shares{"b1:80": 1}, sees: "balancer"},
	}},
	// without the guard a neighbour reaches the farm, and each program on a loopback address
	{name: "loopback-is-closed-to-others", lab: netlab.Options{}, steps: steps{
		routeLocalnet,
		farms{"web": oneBackend("snat", `"127.0.0.1:80/udp"`, "b1", 8081)},
		fromOutside{from: "198.51.100.2:40000", to: loopback80},
		fromOutside{from: "198.51.100.2:40000", to: "127.0.0.1:8080"},
		fromOutside{from: "127.0.0.2:40000", to: "192.0.2.1:8080"},
		request{from: "balancer", by: "udp", to: loopback80, shares: shares{"b1:8081": 1}, sees: "balancer"},
		runs("nft flush chain inet farmc loopback-guard"),
		fromOutside{from: "198.51.100.2:40000", to: loopback80, taken: true},
		fromOutside{from: "198.51.100.2:40000", to: "127.0.0.1:8080", taken: true},
		fromOutside{from: "127.0.0.2:40000", to: "192.0.2.1:8080", taken: true},
	}},
}

// fromOutside is a datagram in a frame of the client. It reaches the balancer; taken: and a program there or a backend.
type fromOutside struct {
	from, to string
	taken    bool
}

// takenDatagrams counts the datagrams that come in at the balancer, and those that are not dropped there.
const takenDatagrams = `table inet spy
delete table inet spy
table inet spy {
	counter came { }
	counter taken { }
	chain seen { type filter hook prerouting priority -500; udp sport 40000 counter name came; }
	chain here { type filter hook input priority 500; udp sport 40000 counter name taken; }
	chain on { type filter hook forward priority 500; udp sport 40000 counter name taken; }
}`

func (c fromOutside) do(s *testbed) error {
	if err := nftScript(takenDatagrams).do(s); err != nil {
		return err
	}
	packet := rawDatagram(netip.MustParseAddrPort(c.from), netip.MustParseAddrPort(c.to), "who?")
	if err := s.sendToBalancer(packet); err != nil {
		return err
	}
	time.Sleep(noAnswerTimeout)
	came, err := nftCounter(s, "spy", "came")
	if err != nil {
		return err
	}
	taken, err := nftCounter(s, "spy", "taken")
	if err == nil && (came != 1 || taken != 0 != c.taken) {
		err = fmt.Errorf("of datagrams from %s to %s %d come and %d are taken, want 1 and taken %t", c.from, c.to, came,
			taken, c.taken)
	}
	return err
}
