package packettest

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestSCTPSockets opens associations with real sockets, if the kernel has them.
func TestSCTPSockets(t *testing.T) {
	t.Parallel()
	if s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP); err != nil {
		t.Skipf("this kernel has no SCTP sockets (%v); Debian's has", err)
	} else {
		unix.Close(s)
	}
	var all []testCase
	for _, mode := range []string{"snat", "dnat"} {
		sees := map[string]string{"snat": "balancer"}[mode]
		all = append(all, testCase{name: mode, steps: steps{serveSCTP, sctpFarms(mode),
			associate{sctpPort, shares{"b1:3868": 2, "b2:3869": 1}, sees},
			associate{sctpRange, shares{"b1:8050": 2, "b2:8050": 1}, sees},
			associate{sctpWhole, shares{"b1:3868": 2, "b2:3868": 1}, sees},
			associate{sctpAny, shares{"b1:443": 2, "b2:443": 1}, sees},
		}})
	}
	w := statelessPaths[0]
	runCases(t, append(all, w.testCase("stateless", serveSCTP,
		farms{"ports": w.stateless(`"192.0.2.1:3868,8000-8100/sctp", "[2001:db8::1]:3868,8000-8100/sctp"`, ``, "b1*2",
			"b2")},
		associate{sctpPort, shares{"b1:3868": 2, "b2:3868": 1}, ""},
		associate{sctpRange, shares{"b1:8050": 2, "b2:8050": 1}, ""},
		nothingTracked,
	)))
}
