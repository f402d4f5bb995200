package packettest

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// untracked: the balancer has no conntrack entry for packets to these addresses, except for packets that the balancer
// answers itself.
func untracked(addresses string) step {
	return stepFunc(func(s *testbed) (err error) {
		flows, err := s.conntrackEntries()
		for _, flow := range flows {
			f := flow.Forward
			for _, a := range strings.Fields(addresses) {
				to := netip.MustParseAddr(a)
				if f.DstIP.Equal(to.AsSlice()) && f.DstPort != 53 && (f.Protocol == 6 || f.Protocol == 17) {
					return fmt.Errorf("a packet to %s is tracked: %v", to, flow)
				}
			}
		}
		return err
	})
}

// unmarked: no conntrack entry has a mark.
func unmarked(s *testbed) error {
	flows, err := s.conntrackEntries()
	ip4 := 0
	for _, flow := range flows {
		if flow.Mark != 0 {
			return fmt.Errorf("a connection has a mark: %v", flow)
		}
		if flow.FamilyType == unix.AF_INET {
			ip4++
		}
	}
	if err != nil || ip4 == 0 || ip4 == len(flows) {
		return fmt.Errorf("%d connections, %d of IPv4: %w", len(flows), ip4, err)
	}
	return nil
}

// nothingTracked: the balancer has no conntrack entry at all.
var nothingTracked = stepFunc(func(s *testbed) error {
	flows, err := s.conntrackEntries()
	if len(flows) > 0 {
		return fmt.Errorf("%d connections are tracked, one of them: %v", len(flows), flows[0])
	}
	return err
})
