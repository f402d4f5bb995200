package packettest

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// TestAbsentInterfaces: what hangs on an interface that isn't there is left out with a word, and served by the next
// apply once it is.
func TestAbsentInterfaces(t *testing.T) {
	t.Parallel()
	play(t, []scene{
		{name: "backend-behind-an-absent-interface", lab: arms[1].lab, steps: steps{
			warned{farms{"web": behindTwo}, `web.toml:10:11: warning: backend b2: the interface eth7 is not there`},
			reach{by: "tcp udp", to: both, shares: shares{"b1": 1}, clients: 20},
			further("eth7"),
			warned{farms{"web": behindTwo}, ""},
			reach{by: "tcp udp", to: both, shares: shares{"b1": 1, "b2": 1}, clients: 40},
			on{"balancer", "ip link delete eth7"},
			warned{farms{"web": behindTwo}, "eth7"},
			reach{by: "tcp udp", to: both, shares: shares{"b1": 1}, clients: 20},
			further("eth7"), // with another number: the rules that named the old one say nothing
			warned{farms{"web": behindTwo}, ""},
			reach{by: "tcp udp", to: both, shares: shares{"b1": 1, "b2": 1}, clients: 40},
		}},
		{name: "ingress-of-an-absent-interface", lab: arms[1].lab, steps: steps{
			warned{farms{"web": fromTwo, "mail": one("snat", `"192.0.2.2:80/tcp,udp", "[2001:db8::2]:80/tcp,udp"`, "b3", 0, `interfaces = ["eth7"]`)},
				"web.toml:4:16: warning: interfaces: eth7 is not there"},
			reach{by: "tcp udp", to: both, shares: shares{"b1": 1}, clients: 20},
			ask{by: "tcp udp", to: bothSecond, shares: shares{"balancer:80": 1}},
			further("eth7"),
			warned{farms{"web": fromTwo}, ""},
			on{"client", "ip route add 192.0.2.1/32 via 10.2.0.2\nip -6 route add 2001:db8::1/128 via fd00:2::2"},
			reach{by: "tcp udp", to: both, shares: shares{"b1": 1}, clients: 20},
		}},
		{name: "no-interface-at-all", lab: arms[1].lab, steps: steps{
			warned{farms{"web": strings.ReplaceAll(fromTwo, `"eth0", "eth7"`, `"eth8", "eth7"`), "mail": arms[1].farm(wholeSecond)}, "eth8 is not there"},
			ask{by: "tcp udp", to: both, shares: shares{"balancer:80": 1}},
			reach{by: "tcp udp", to: bothSecond, shares: shares{"b1": 3, "b2": 1}, clients: 20},
		}},
		{name: "interface-that-comes-back", lab: arms[0].lab, steps: steps{
			farms{"web": arms[0].farm(byAll)},
			reach{by: "tcp udp", to: both, shares: shares{"b1": 3, "b2": 1}, clients: 20},
			on{"balancer", "ip link delete eth0"},
			deed(func(s *stage) error {
				b := s.Balancer
				return errors.Join(s.Plug(b, "eth0"), b.AddAddress("eth0", netip.MustParsePrefix("10.2.0.1/24")), b.AddAddress("eth0", netip.MustParsePrefix("fd00:2::1/64")),
					b.AddRoute(netip.MustParsePrefix("198.51.100.0/24"), netip.MustParseAddr("10.2.0.100")), b.AddRoute(netip.MustParsePrefix("2001:db8:c::/48"), netip.MustParseAddr("fd00:2::100")))
			}),
			on{"client", "ip neighbour flush all"},
			warned{farms{"web": arms[0].farm(byAll)}, ""},
			reach{by: "tcp udp", to: both, shares: shares{"b1": 3, "b2": 1}, clients: 20},
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
