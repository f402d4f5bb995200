package clustertest

import (
	"testing"
)

// TestShort is the case that runs always, with few connections. BFD waits for 3 s: on a machine that is busy with other
// tests all balancers can be silent for longer than 0.3 s, and without their routes services are unreachable.
func TestShort(t *testing.T) {
	if testing.Short() {
		t.Skip("a routing daemon takes seconds to find its neighbours")
	}
	c := powerLoss.withDefaults()
	c.patient, c.gap = true, -1
	c.run(t, buildFarmc(t), 60)
}

// TestCluster runs all cases, one after the other, as BFD of two would disturb each other on a small machine.
func TestCluster(t *testing.T) {
	onlyInTestCluster(t)
	farmc := buildFarmc(t)
	for _, c := range clusterCases {
		t.Run(c.name, func(t *testing.T) { c.withDefaults().run(t, farmc, 200) })
	}
}
