package packettest

import (
	"testing"

	"farmc/cmd/internal/netlab"
)

// poolAddresses are spare addresses of the balancer.
var poolAddresses = steps{
	addAddress{"eth1", "10.2.0.2/24"}, addAddress{"eth1", "10.2.0.3/24"}, addAddress{"eth1", "10.2.0.4/24"},
	addAddress{"eth1", "10.2.0.5/24"}, addAddress{"eth1", "10.2.0.6/24"}, addAddress{"eth1", "10.2.0.7/24"},
	addAddress{"eth1", "10.2.0.8/24"}, addAddress{"eth1", "10.2.0.9/24"}, addAddress{"eth1", "fd00:2::2/64"},
	addAddress{"eth1", "fd00:2::3/64"}, addAddress{"eth1", "fd00:2::4/64"},
}

// TestSourcePools: connections leave from all addresses of a range, and from no other.
func TestSourcePools(t *testing.T) {
	t.Parallel()
	const pool = `source-address = ["10.2.0.2-10.2.0.4", "fd00:2::2-fd00:2::3"]`
	runCases(t, []testCase{
		{name: "pool-of-a-farm", steps: steps{poolAddresses,
			farms{"web": oneBackend("snat", listen1, "b1", 8081, pool)},
			sources{by: "tcp udp", to: service1, all: "10.2.0.2 10.2.0.3 10.2.0.4 fd00:2::2 fd00:2::3"},
		}},
		{name: "pool-of-one-family-beside-masquerade", steps: steps{poolAddresses,
			farms{"web": oneBackend("snat", listen1, "b1", 8081, `source-address = "fd00:2::2-fd00:2::3"`)},
			sources{by: "tcp udp", to: service1, all: "10.2.0.1 fd00:2::2 fd00:2::3"},
		}},
		{name: "pools-of-backends", steps: steps{poolAddresses,
			farms{
				"web": oneBackend("snat", listen1, "b1", 8081, `source-address = "10.2.0.9"`) +
					`source-address = ["10.2.0.2-10.2.0.3", "fd00:2::2"]`,
				"two": oneBackend("snat", listen2At443, "b2", 8082) +
					`source-address = ["10.2.0.4-10.2.0.6", "fd00:2::3-fd00:2::4"]` +
					"\n[backends.b1]\naddress = '10.2.0.11'\nstate = 'drain'\nsource-address = '10.2.0.2-10.2.0.3'\n",
			},
			sources{by: "tcp udp", to: service1, all: "10.2.0.2 10.2.0.3 fd00:2::2"},
			sources{by: "tcp udp", to: service2At443, all: "10.2.0.4 10.2.0.5 10.2.0.6 fd00:2::3 fd00:2::4"},
		}},
		// open connections keep their address, and new ones get the new range
		{name: "pool-changes-under-connections", steps: steps{poolAddresses,
			farms{"web": oneBackend("snat", listen1, "b1", 8081, pool)},
			converse{"tcp udp", service1},
			farms{"web": oneBackend("snat", listen1, "b1", 8081, `source-address = "10.2.0.7-10.2.0.9"`)},
			continued{by: "tcp udp", with: "b1"},
			sources{by: "tcp udp", to: service1, all: "10.2.0.7 10.2.0.8 10.2.0.9 fd00:2::1"},
			farms{"web": oneBackend("snat", listen1, "b1", 8081, `source-address = "10.2.0.9"`)},
			continued{by: "tcp udp", with: "b1"},
			sources{by: "tcp udp", to: service1, all: "10.2.0.9 fd00:2::1"},
		}},
	})
}

// TestManyFlowsToOneBackend: 200,000 flows of four clients reach one backend from eight addresses. From one address
// some of 70,000 are lost.
func TestManyFlowsToOneBackend(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule, source string
		flows        int
		lost         bool
	}{
		{"eight addresses", `source-address = "10.2.0.2-10.2.0.9"`, 200_000, false},
		{"one address", `source-address = "10.2.0.2"`, 70_000, true},
	} {
		t.Run(c.rule, func(t *testing.T) {
			s := newTestbed(t, netlab.Options{})
			must(t, steps{poolAddresses, farms{"web": oneBackend("snat", listen1, "b1", 0, c.source)}}.do(s))
			arrived, err := s.sendFlows(c.flows)
			must(t, err)
			if arrived > c.flows || arrived < c.flows != c.lost {
				t.Errorf("%d of %d arrive", arrived, c.flows)
			}
			t.Logf("%d of %d flows arrive", arrived, c.flows)
		})
	}
}
