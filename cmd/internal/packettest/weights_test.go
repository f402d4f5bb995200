package packettest

import "strings"

// weightCases: connections are distributed by weight, to the right ports, and the backend sees the expected source, in
// each mode, with each scheduler, protocol and family.
func weightCases() []testCase {
	all := []testCase{
		{name: "random-is-not-in-turn", steps: steps{
			farms{"web": weightedFarm("random", 1, 1)},
			notInTurn{"tcp udp", service1},
		}},
	}
	for _, mode := range []struct{ name, sees string }{{"snat", "balancer"}, {"dnat", ""}} {
		for _, scheduler := range []struct{ name, rule string }{
			{"random", "weights"}, {"round-robin", "round-robin"}, {"hash", "hash"},
			{"least-connections", "least-connections"},
		} {
			for _, protocol := range []string{"tcp", "udp"} {
				for _, family := range []struct{ name, to string }{
					{"ip4", "192.0.2.1:80"}, {"ip6", "[2001:db8::1]:80"},
				} {
					all = append(all, testCase{
						name: strings.Join([]string{mode.name, scheduler.rule, protocol, family.name}, "-"),
						steps: steps{
							farms{"web": strings.NewReplacer("MODE", mode.name, "SCHEDULER", scheduler.name).
								Replace(weightedTemplate)},
							request{by: protocol, to: family.to, sees: mode.sees,
								times: largeSample, inTurn: scheduler.name == "round-robin",
								shares: shares{"b1:8081": 3, "b2:8082": 1}},
						},
					})
				}
			}
		}
	}
	return all
}
