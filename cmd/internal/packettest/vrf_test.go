package packettest

import "testing"

// TestVRF: links, addresses and routes of the balancer are in a VRF, through which packets pass prerouting twice: by
// the link and by the VRF. Clients are served.
func TestVRF(t *testing.T) {
	t.Parallel()
	var cases []testCase
	for _, mode := range []string{"snat", "dnat"} {
		ask := request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}}
		if mode == "snat" {
			ask.sees = "balancer"
		}
		cases = append(cases, testCase{name: mode, steps: steps{insideVRF,
			farms{"web": oneBackend(mode, listen1, "b1", 8081)}, ask}})
	}
	runCases(t, cases)
}

// insideVRF moves the balancer's network into a VRF. The test is skipped where the kernel has none. Links lose their
// addresses of IPv6 and their routes.
var insideVRF = stepFunc(func(s *testbed) error {
	if err := runs("ip link add blue type vrf table 10").do(s); err != nil {
		s.t.Skip("no VRF here:", err)
	}
	return runs(`set -e; ip link set blue up
		for link in eth0 eth1; do
			addresses=$(ip -6 -o address show dev $link scope global | awk '{ print $4 }')
			ip link set $link down; ip link set $link master blue; ip link set $link up
			for a in $addresses; do ip address replace $a dev $link nodad; done
		done
		for a in $(ip -o address show dev lo scope global | awk '{ print $4 }'); do
			ip address delete $a dev lo; ip address add $a dev blue nodad
		done
		ip route add 198.51.100.0/24 via 203.0.113.2 vrf blue
		ip route add 2001:db8:c::/48 via 2001:db8:f::2 vrf blue`).do(s)
})
