package packettest

import (
	"fmt"
	"net/netip"
	"strings"
)

// untracked: connection tracking of the balancer knows nothing of what was sent to these addresses, but for what it
// answered itself.
func untracked(addresses string) step {
	return deed(func(s *stage) (err error) {
		for _, a := range strings.Fields(addresses) {
			to := netip.MustParseAddr(a)
			flows, err := s.flows(to)
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

// unmarked: no connection has a mark.
func unmarked(s *stage) error {
	for _, like := range []string{"0.0.0.0", "::"} {
		flows, err := s.flows(netip.MustParseAddr(like))
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

// nothingTracked: connection tracking of the balancer has no entry at all.
var nothingTracked = deed(func(s *stage) error {
	for _, like := range []string{"0.0.0.0", "::"} {
		flows, err := s.flows(netip.MustParseAddr(like))
		if err != nil {
			return err
		}
		if len(flows) > 0 {
			return fmt.Errorf("%d connections are tracked, one of them: %v", len(flows), flows[0])
		}
	}
	return nil
})
