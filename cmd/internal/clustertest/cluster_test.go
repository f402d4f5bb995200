package clustertest

import (
	"os"
	"testing"
)

// TestShort is the case that runs always, with few connections.
func TestShort(t *testing.T) {
	if testing.Short() {
		t.Skip("a routing daemon takes seconds to find its neighbours")
	}
	powerLoss.withDefaults().run(t, buildFarmc(t), 60)
}

// TestCluster runs all cases, one after the other, as BFD of two would disturb each other on a small machine.
func TestCluster(t *testing.T) {
	if os.Getenv("CLUSTER") == "" {
		t.Skip("takes minutes: make test-cluster")
	}
	farmc := buildFarmc(t)
	for _, c := range clusterCases {
		t.Run(c.name, func(t *testing.T) { c.withDefaults().run(t, farmc, 200) })
	}
}
