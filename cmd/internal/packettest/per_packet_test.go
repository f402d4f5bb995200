package packettest

import (
	"slices"
	"testing"
)

// TestPerPacket: farms with per-packet balance the datagrams of one client.
func TestPerPacket(t *testing.T) {
	t.Parallel()
	runCases(t, slices.Concat(perPacketDSRCases(), perPacketStatelessCases()))
}

const (
	listenUDP1 = `"192.0.2.1:80/udp", "[2001:db8::1]:80/udp"`

	inTurnPerPacket = "per-packet = true\nscheduler = \"round-robin\""
)

func perPacketDSRCases() (all []testCase) {
	three := shares{"b1:80": 3, "b2:80": 1}
	for _, topology := range dsrTopologies {
		all = append(all, testCase{name: "dsr-" + topology.name, lab: topology.lab, steps: steps{
			farms{"web": topology.farm(listenUDP1, `per-packet = true`)},
			oneSocket{to: service1, shares: three},
			lostDatagrams{service1, 4000},
			farms{"web": topology.farm(listenUDP1, inTurnPerPacket)},
			oneSocket{to: service1, shares: three, inTurn: true},
			untracked("192.0.2.1 2001:db8::1"),
		}})
	}
	return all
}

// perPacketStatelessCases: backends with ports of their own are reached by rules of their own, and draw numbers of
// their own.
func perPacketStatelessCases() (all []testCase) {
	by := shares{"b1:8081": 3, "b2:8082": 1, "b3:80": 2}
	for _, w := range slices.Concat(statelessPaths, gatewayPaths) {
		large := step(transfer{"udp", service1, 4000})
		if slices.Contains(statelessPaths[2:], w) { // at ingress, fragments have no ports
			large = lostDatagrams{service1, 4000}
		}
		all = append(all, w.testCase("per-packet",
			farms{"web": w.stateless(listenUDP1, `per-packet = true`, "b1:8081*3", "b2:8082", "b3*2")},
			oneSocket{to: service1, shares: by},
			large,
			farms{"web": w.stateless(listenUDP1, inTurnPerPacket, "b1:8081*3", "b2:8082", "b3*2")},
			oneSocket{to: service1, shares: by, inTurn: true},
			nothingTracked))
	}
	return all
}
