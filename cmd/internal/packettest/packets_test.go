package packettest

import (
	"slices"
	"testing"
)

func TestPackets(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range slices.Concat(weightCases(), portCases, addressCases, sourceNATCases, localCases,
		backendStateCases,
		refusalCases(), reloadCases, keptStateCases(), cutCases(), hashCases, hashKeyCases, kernelCases) {
		if seen[c.name] {
			t.Errorf("two cases are called %s", c.name)
		}
		seen[c.name] = true
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := c.steps.do(newTestbed(t, c.lab)); err != nil {
				t.Error(err)
			}
		})
	}
}
