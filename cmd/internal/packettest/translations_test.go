package packettest

import "testing"

// site is the virtual_server_groups of the keepalived.conf that TestTranslations translates.
const site = service1 + " " + service2 + " " + service3

// TestTranslations: the farms that the package shows beside configurations of other programs treat packets as
// farmc-examples(7) says.
func TestTranslations(t *testing.T) {
	t.Parallel()
	runCases(t, []testCase{
		{name: "keepalived", steps: steps{
			translation("from-keepalived"),
			keepPerNetwork{name: "site", by: "tcp", to: site, hostBits: 4, among: "b1 b2"},
			backendPorts{by: "tcp", to: site, ports: map[string]uint16{"b1": 8081, "b2": 8082}},
			// the sorry server joins the last server, and stands alone without one
			translation("from-keepalived").with(map[string]string{"site": "backends.rs1.state = 'down'"}),
			keepPerNetwork{name: "joined", by: "tcp", to: site, hostBits: 4, among: "b2 b3"},
			translation("from-keepalived").with(map[string]string{
				"site": "backends.rs1.state = 'down'\nbackends.rs2.state = 'down'"}),
			keepPerNetwork{name: "sorry", by: "tcp", to: site, hostBits: 4, among: "b3"},
			backendPorts{by: "tcp", to: site, ports: map[string]uint16{"b3": 8083}},
			// its clients stay with it
			translation("from-keepalived"),
			keepPerNetwork{name: "sorry", by: "tcp", to: site, hostBits: 4, among: "b3"},
		}},
		{name: "ipvsadm", steps: steps{
			// in quick succession the limits would refuse some
			translation("from-ipvsadm").with(map[string]string{
				"shop": "backends.rs1.connections = 9999\nbackends.rs2.connections = 9999"}),
			keepPerNetwork{name: "shop", by: "tcp", to: service1, among: "b1 b2"},
			keepPerNetwork{name: "shop", by: "tcp", to: service1, among: "b1 b2"},
			backendPorts{by: "tcp", to: service1, ports: map[string]uint16{"b1": 8081, "b2": 8082}},
			keepPerNetwork{name: "media", by: "udp", to: "192.0.2.2:8000 [2001:db8::2]:8000", among: "b1 b2"},
			keepPerNetwork{name: "media", by: "udp", to: "192.0.2.2:8050 [2001:db8::2]:8100", among: "b1 b2"},
			backendPorts{by: "udp", to: service2At8050, ports: map[string]uint16{"b1": 8050, "b2": 8050}},
			translation("from-ipvsadm"),
			fill{by: "tcp", to: service1, until: shares{"b1": 16, "b2": 8}},
			refused{by: "tcp", to: service1}, echo{},
		}},
		{name: "kubernetes", steps: steps{
			translation("from-kubernetes"),
			keepPerNetwork{name: "shop", by: "tcp", to: "192.0.2.1:80 [2001:db8::1]:443", among: "b1 b2"},
			keepPerNetwork{name: "shop", by: "tcp", to: "192.0.2.1:443 [2001:db8::1]:80", among: "b1 b2"},
			keepPerNetwork{name: "shop", by: "tcp", to: service2 + " " + service2At443, among: "b1 b2"},
			backendPorts{by: "tcp", to: service1, ports: map[string]uint16{"b1": 8081, "b2": 8081}},
			backendPorts{by: "tcp", to: "192.0.2.1:443 [2001:db8::1]:443",
				ports: map[string]uint16{"b1": 8082, "b2": 8082}},
			backendPorts{by: "tcp", to: service2, ports: map[string]uint16{"b1": 8083, "b2": 8083}},
			backendPorts{by: "tcp", to: service2At443, ports: map[string]uint16{"b1": 8100, "b2": 8100}},
			request{by: "tcp", to: service1, shares: shares{"b1:8081": 1, "b2:8081": 1}, times: 100, sees: "balancer"},
			request{by: "tcp udp", to: service9At53, shares: shares{"b3:53": 1}},
			request{by: "tcp", to: service3, shares: shares{"b3:80": 1}, as: "198.51.100.10 2001:db8:c::a"},
			denied{by: "tcp", to: service3, as: "198.51.100.100 2001:db8:c::64", farm: "intranet"},
		}},
	})
}
