package packettest

import (
	"slices"
	"testing"
)

// TestPackets runs the cases of snat and dnat that need no test of their own.
func TestPackets(t *testing.T) {
	t.Parallel()
	runCases(t, slices.Concat(weightCases(), portCases, addressCases, sourceNATCases, sourceRouteCases,
		sourcePortCases, hairpinCases, outgoingCases, markedSourceCases, localCases, loopbackCases, backendStateCases,
		refusalCases(), reloadCases, keptStateCases(), cutCases(), hashCases, hashKeyCases, kernelCases,
		pickFirstCases))
}
