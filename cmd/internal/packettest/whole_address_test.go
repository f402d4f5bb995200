package packettest

import (
	"fmt"
	"testing"
)

// TestWholeAddress: a client of a farm on a whole address reaches one backend over every protocol, if the scheduler
// hashes the client's address.
func TestWholeAddress(t *testing.T) {
	t.Parallel()
	runCases(t, wholeAddressCases())
}

const address2 = "192.0.2.2 2001:db8::2"

func wholeAddressCases() (all []testCase) {
	for _, scheduler := range []string{"hash", "maglev"} {
		by := fmt.Sprintf("scheduler = %q\nhash-on = [\"source-address\"]", scheduler)
		nat := func(mode string) farms {
			return farms{"all": fmt.Sprintf(`
				mode   = %q
				listen = [%s]
				%s
				[backends.b1]
				address = ["10.2.0.11", "fd00:2::11"]
				[backends.b2]
				address = ["10.2.0.12", "fd00:2::12"]
			`, mode, listenWhole2, by)}
		}
		all = append(all,
			testCase{name: "dnat-" + scheduler,
				steps: steps{muteKernels, nat("dnat"), sameBackendForAll{"dnat", address2, 10}}},
			testCase{name: "snat-" + scheduler,
				steps: steps{muteKernels, nat("snat"), sameBackendForAll{"snat", address2, 1}}})
		for _, topology := range dsrTopologies {
			all = append(all, testCase{name: "dsr-" + topology.name + "-" + scheduler, lab: topology.lab,
				steps: steps{muteKernels, farms{"all": topology.farm(listenWhole2, by)},
					sameBackendForAll{"dsr", address2, 3}}})
		}
		for _, w := range statelessPaths {
			all = append(all, w.testCase("stateless-"+scheduler,
				muteKernels, farms{"all": w.stateless(listenWhole2, by, "b1", "b2")},
				sameBackendForAll{"stateless", address2, 10}, nothingTracked))
		}
	}
	return all
}
