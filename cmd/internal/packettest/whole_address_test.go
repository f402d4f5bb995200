package packettest

import (
	"fmt"
	"testing"
)

// TestWholeAddress: a client of a farm that takes a whole address meets one backend by every protocol, if the scheduler
// looks at who the client is.
func TestWholeAddress(t *testing.T) {
	t.Parallel()
	play(t, wholeScenes())
}

const second2 = "192.0.2.2 2001:db8::2"

func wholeScenes() (all []scene) {
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
			`, mode, wholeSecond, by)}
		}
		all = append(all,
			scene{name: "dnat-" + scheduler, steps: steps{quiet, nat("dnat"), together{"dnat", second2, 10}}},
			scene{name: "snat-" + scheduler, steps: steps{quiet, nat("snat"), together{"snat", second2, 1}}})
		for _, arm := range arms {
			all = append(all, scene{name: "dsr-" + arm.name + "-" + scheduler, lab: arm.lab,
				steps: steps{quiet, farms{"all": arm.farm(wholeSecond, by)}, together{"dsr", second2, 3}}})
		}
		for _, w := range ways {
			all = append(all, w.scene("stateless-"+scheduler,
				quiet, farms{"all": w.stateless(wholeSecond, by, "b1", "b2")}, together{"stateless", second2, 10}, nothingTracked))
		}
	}
	return all
}
