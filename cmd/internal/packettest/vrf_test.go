package packettest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

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
// addresses of IPv6 and their routes. One program makes all changes, because a program takes seconds to start in a
// machine that is emulated.
var insideVRF = stepFunc(func(s *testbed) error {
	if err := runs("ip link add blue type vrf table 10").do(s); err != nil {
		s.t.Skip("no VRF here:", err)
	}
	commands := []string{"link set blue up"}
	add := func(format string, args ...any) { commands = append(commands, fmt.Sprintf(format, args...)) }
	if err := s.Balancer.Do(func() error {
		for _, link := range []string{"eth0", "eth1"} {
			addresses, err := globalAddresses(link, netlink.FAMILY_V6)
			if err != nil {
				return err
			}
			add("link set %s down\nlink set %s master blue\nlink set %s up", link, link, link)
			for _, a := range addresses {
				add("address replace %s dev %s nodad", a, link)
			}
		}
		for family, nodad := range map[int]string{netlink.FAMILY_V4: "", netlink.FAMILY_V6: "nodad"} {
			addresses, err := globalAddresses("lo", family)
			if err != nil {
				return err
			}
			for _, a := range addresses {
				add("address delete %s dev lo\naddress add %s dev blue %s", a, a, nodad)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	add("route add 198.51.100.0/24 via 203.0.113.2 vrf blue\nroute add 2001:db8:c::/48 via 2001:db8:f::2 vrf blue")
	_, err := s.Balancer.Run(s.ctx, strings.Join(commands, "\n")+"\n", "ip", "-batch", "-")
	return err
})

// globalAddresses are the addresses of an interface in the thread's namespace by which other machines reach it.
func globalAddresses(link string, family int) (out []string, err error) {
	l, err := netlink.LinkByName(link)
	if err != nil {
		return nil, err
	}
	all, err := netlink.AddrList(l, family)
	for _, a := range all {
		if a.Scope == int(netlink.SCOPE_UNIVERSE) {
			out = append(out, a.IPNet.String())
		}
	}
	return out, err
}
