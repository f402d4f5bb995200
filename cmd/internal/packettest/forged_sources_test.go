package packettest

import "testing"

// TestForgedSources sends datagrams and segments to a service in the name of this or another service, of the balancer,
// of a loopback and of a multicast address. No mode without connection tracking answers one of them with more than one
// packet. The cases send 10,080 packets together.
func TestForgedSources(t *testing.T) {
	t.Parallel()
	var cases []testCase
	for _, w := range statelessPaths {
		cases = append(cases, w.testCase("stateless", farms{"web": w.stateless(listen1, "", "b1:8081", "b2")},
			forgeSources{}))
	}
	for _, d := range dsrTopologies {
		cases = append(cases, testCase{name: d.name + "-dsr", lab: d.lab,
			steps: steps{farms{"web": d.farm(listen1)}, forgeSources{}}})
	}
	runCases(t, cases)
}
