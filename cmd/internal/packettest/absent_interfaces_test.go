package packettest

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// TestAbsentInterfaces: rules for an absent interface are left out with a warning. The next apply adds them once the
// interface exists.
func TestAbsentInterfaces(t *testing.T) {
	t.Parallel()
	runCases(t, []testCase{
		{name: "backend-behind-an-absent-interface", lab: dsrTopologies[1].lab, steps: steps{
			warns{farms{"web": behindTwo}, `web.toml:10:11: warning: backend b2: the interface eth7 does not exist`},
			directRequest{by: "tcp udp", to: service1, shares: shares{"b1": 1}, clients: 20},
			addLink("eth7"),
			warns{farms{"web": behindTwo}, ""},
			directRequest{by: "tcp udp", to: service1, shares: shares{"b1": 1, "b2": 1}, clients: 40},
			runOn{"balancer", "ip link delete eth7"},
			warns{farms{"web": behindTwo}, "eth7"},
			directRequest{by: "tcp udp", to: service1, shares: shares{"b1": 1}, clients: 20},
			addLink("eth7"), // with another index: rules for the old link do not match
			warns{farms{"web": behindTwo}, ""},
			directRequest{by: "tcp udp", to: service1, shares: shares{"b1": 1, "b2": 1}, clients: 40},
		}},
		{name: "ingress-of-an-absent-interface", lab: dsrTopologies[1].lab, steps: steps{
			warns{farms{"web": fromTwo,
				"mail": oneBackend("snat", `"192.0.2.2:80/tcp,udp", "[2001:db8::2]:80/tcp,udp"`, "b3", 0,
					`interfaces = ["eth7"]`)},
				"web.toml:4:16: warning: interfaces: eth7 does not exist"},
			directRequest{by: "tcp udp", to: service1, shares: shares{"b1": 1}, clients: 20},
			request{by: "tcp udp", to: service2, shares: shares{"balancer:80": 1}},
			addLink("eth7"),
			warns{farms{"web": fromTwo}, ""},
			runOn{"client", "ip route add 192.0.2.1/32 via 10.2.0.2\nip -6 route add 2001:db8::1/128 via fd00:2::2"},
			directRequest{by: "tcp udp", to: service1, shares: shares{"b1": 1}, clients: 20},
		}},
		{name: "no-interface-at-all", lab: dsrTopologies[1].lab, steps: steps{
			warns{farms{"web": strings.ReplaceAll(fromTwo, `"eth0", "eth7"`, `"eth8", "eth7"`),
				"mail": dsrTopologies[1].farm(listenWhole2)}, "eth8 does not exist"},
			request{by: "tcp udp", to: service1, shares: shares{"balancer:80": 1}},
			directRequest{by: "tcp udp", to: service2, shares: shares{"b1": 3, "b2": 1}, clients: 20},
		}},
		{name: "interface-that-comes-back", lab: dsrTopologies[0].lab, steps: steps{
			farms{"web": dsrTopologies[0].farm(listenAllKinds)},
			directRequest{by: "tcp udp", to: service1, shares: shares{"b1": 3, "b2": 1}, clients: 20},
			runOn{"balancer", "ip link delete eth0"},
			stepFunc(func(s *testbed) error {
				b := s.Balancer
				return errors.Join(s.Plug(b, "eth0"), b.AddAddress("eth0", netip.MustParsePrefix("10.2.0.1/24")),
					b.AddAddress("eth0", netip.MustParsePrefix("fd00:2::1/64")),
					b.AddRoute(netip.MustParsePrefix("198.51.100.0/24"), netip.MustParseAddr("10.2.0.100")),
					b.AddRoute(netip.MustParsePrefix("2001:db8:c::/48"), netip.MustParseAddr("fd00:2::100")))
			}),
			runOn{"client", "ip neighbour flush all"},
			warns{farms{"web": dsrTopologies[0].farm(listenAllKinds)}, ""},
			directRequest{by: "tcp udp", to: service1, shares: shares{"b1": 3, "b2": 1}, clients: 20},
		}},
	})
}

const behindTwo = `mode = "dsr"
listen = ["192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"]
interfaces = "eth0"

[backends.b1]
address = ["10.2.0.11", "fd00:2::11"]
interface = "eth1"

# behind another one
[backends.b2]
address = ["10.2.0.12", "fd00:2::12"]
interface = "eth7"
`

const fromTwo = `mode = "dsr"
listen = ["192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"]
# by either
interfaces   = ["eth0", "eth7"]
[backends.b1]
address = ["10.2.0.11", "fd00:2::11"]
interface = "eth1"
`
