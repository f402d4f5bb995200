package packettest

import (
	"slices"
	"strings"
	"testing"
)

// TestForgedSources sends datagrams and segments to a service in the name of this or another service, of the balancer,
// of a backend, of a loopback and of a multicast address. No mode answers one of them with more than one packet. The
// owner of a backend's address may answer that packet once: it opened no connection, and has no socket.
func TestForgedSources(t *testing.T) {
	t.Parallel()
	var cases []testCase
	for _, w := range statelessPaths {
		cases = append(cases, w.testCase("stateless", farms{"web": w.stateless(listen1, "", "b1:8081", "b2:8082")},
			forgeSources(forgedSources)))
	}
	for _, d := range dsrTopologies {
		cases = append(cases, testCase{name: d.name + "-dsr", lab: d.lab,
			steps: steps{farms{"web": d.farm(listen1)}, forgeSources(dsrSources)}})
	}
	for _, mode := range []string{"snat", "dnat"} {
		for name, template := range map[string]string{"": weightedTemplate, "-with-persistence": stickyTemplate} {
			web := strings.NewReplacer("MODE", mode, "SCHEDULER", "hash").Replace(template)
			cases = append(cases, testCase{name: mode + name,
				steps: steps{farms{"web": web}, forgeSources(forgedSources)}})
		}
	}
	// IPv6 takes packets with a source of its own from outside, and a farm of mode local leaves packets as they are
	cases = append(cases, testCase{name: "local", steps: steps{
		farms{"web": localFarm(listen1)}, forgeSources(localSources)}})
	runCases(t, cases)
}

// stickyTemplate is weightedTemplate with persistence: its picks take two steps.
var stickyTemplate = strings.Replace(weightedTemplate, "\n\n", "\npersistence = {}\n\n", 1)

// Sources of packets to farms of modes dsr and local.
var (
	dsrSources   = slices.Concat(forgedSources[:5], []string{backend1, backend2})
	localSources = []string{
		"192.0.2.1:80", "192.0.2.2:80", "10.2.0.1:8083", "127.0.0.1:80 [::1]:80", "224.0.0.1:80 [ff02::1]:80",
	}
)
