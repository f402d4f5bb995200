package packettest

import (
	"fmt"
	"net/netip"
	"strings"
)

// untracked: the balancer has no conntrack entry for packets to these addresses, except for packets that the balancer
// answers itself.
func untracked(addresses string) step {
	return stepFunc(func(s *testbed) (err error) {
		for _, a := range strings.Fields(addresses) {
			to := netip.MustParseAddr(a)
			flows, err := s.conntrackEntries(to)
			if err != nil {
				return err
			}
			for _, flow := range flows {
				f := flow.Forward
				if f.DstIP.Equal(to.AsSlice()) && f.DstPort != 53 && (f.Protocol == 6 || f.Protocol == 17) {
					return fmt.Errorf("a packet to %s is tracked: %v", to, flow)
				}
			}
		}
		return nil
	})
}

// unmarked: no conntrack entry has a mark.
func unmarked(s *testbed) error {
	for _, like := range []string{"0.0.0.0", "::"} {
		flows, err := s.conntrackEntries(netip.MustParseAddr(like))
		if err != nil || len(flows) == 0 {
			return fmt.Errorf("%d connections: %w", len(flows), err)
		}
		for _, flow := range flows {
			if flow.Mark != 0 {
				return fmt.Errorf("a connection has a mark: %v", flow)
			}
		}
	}
	return nil
}

// nothingTracked: the balancer has no conntrack entry at all.
var nothingTracked = stepFunc(func(s *testbed) error {
	for _, like := range []string{"0.0.0.0", "::"} {
		flows, err := s.conntrackEntries(netip.MustParseAddr(like))
		if err != nil {
			return err
		}
		if len(flows) > 0 {
			return fmt.Errorf("%d connections are tracked, one of them: %v", len(flows), flows[0])
		}
	}
	return nil
})
