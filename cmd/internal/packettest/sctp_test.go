package packettest

import (
	"fmt"
	"strings"
	"testing"
)

// TestSCTP sends SCTP packets of its own, because many kernels have no SCTP sockets: a client opens an association, and
// a backend accepts it. TestSCTPSockets uses sockets.
func TestSCTP(t *testing.T) {
	t.Parallel()
	runCases(t, sctpCases())
}

const (
	sctpPort  = "192.0.2.1:3868 [2001:db8::1]:3868"
	sctpRange = "192.0.2.1:8050 [2001:db8::1]:8050"
	sctpWhole = "192.0.2.2:3868 [2001:db8::2]:3868"
	sctpAny   = "192.0.2.3:443 [2001:db8::3]:443"
)

func sctpCases() (all []testCase) {
	for _, mode := range []string{"snat", "dnat"} {
		down := farms{}
		for name, text := range sctpFarms(mode) {
			down[name] = strings.ReplaceAll(text, "address = ", "state = \"down\"\naddress = ")
		}
		all = append(all, testCase{name: mode, steps: steps{
			muteKernels,
			sctpFarms(mode),
			associations(mode, sctpPort, shares{"b1:3868": 2, "b2:3869": 1}),
			associations(mode, sctpRange, shares{"b1:8050": 2, "b2:8050": 1}),
			associations(mode, sctpWhole, shares{"b1:3868": 2, "b2:3868": 1}),
			associations(mode, sctpAny, shares{"b1:443": 2, "b2:443": 1}),
			down,
			portUnreachable{protocolSCTP, sctpInit, sctpPort + " " + sctpRange + " " + sctpWhole + " " + sctpAny},
		}})
	}
	for _, topology := range dsrTopologies {
		all = append(all, testCase{name: "dsr-" + topology.name, lab: topology.lab, steps: steps{
			muteKernels,
			farms{
				"ports": topology.farm(`"192.0.2.1:3868,8000-8100/sctp", "[2001:db8::1]:3868,8000-8100/sctp"`),
				"whole": topology.farm(`"192.0.2.2/all", "2001:db8::2/all"`, `scheduler = "hash"`),
			},
			associations("dsr", sctpPort, shares{"b1:3868": 3, "b2:3868": 1}),
			associations("dsr", sctpRange, shares{"b1:8050": 3, "b2:8050": 1}),
			associations("dsr", sctpWhole, shares{"b1:3868": 3, "b2:3868": 1}),
		}})
	}
	for _, w := range statelessPaths {
		all = append(all, w.testCase("stateless",
			muteKernels,
			farms{
				"ports": w.stateless(`"192.0.2.1:3868,8000-8100/sctp", "[2001:db8::1]:3868,8000-8100/sctp"`, ``, "b1*3",
					"b2"),
				"whole": w.stateless(`"192.0.2.2/all", "2001:db8::2/all"`, `scheduler = "hash"`, "b3"),
			},
			associations("stateless", sctpPort, shares{"b1:3868": 3, "b2:3868": 1}),
			associations("stateless", sctpRange, shares{"b1:8050": 3, "b2:8050": 1}),
			associations("stateless", sctpWhole, shares{"b3:3868": 1}),
			nothingTracked,
		))
	}
	return all
}

// sctpFarms are a rewritten port, a range, a whole address and "*", with a scheduler each.
func sctpFarms(mode string) farms {
	farm := func(listen, keys, b2 string) string {
		return fmt.Sprintf(`
			mode   = %q
			listen = [%s]
			%s
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
			weight  = 2
			[backends.b2]
			address = ["10.2.0.12", "fd00:2::12"]
			%s
		`, mode, listen, keys, b2)
	}
	return farms{
		"port": farm(`"192.0.2.1:3868/tcp,sctp", "[2001:db8::1]:3868/sctp"`, ``, `port = 3869`),
		"range": farm(`"192.0.2.1:8000-8100/sctp", "[2001:db8::1]:8000-8100/sctp,udp"`, `scheduler = "round-robin"`,
			``),
		"whole": farm(`"192.0.2.2/all", "2001:db8::2/all"`, `scheduler = "hash"`, ``),
		"any":   farm(`"*:443/sctp"`, `scheduler = "maglev"`, ``),
	}
}
