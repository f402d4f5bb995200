package packettest

import (
	"testing"
	"time"
)

// TestTimeouts: connections are forgotten after the idle times of their farm.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	runCases(t, append(timeoutCases("snat"), timeoutCases("dnat")...))
}

func timeoutCases(mode string) []testCase {
	half := "net.netfilter.nf_conntrack_tcp_timeout_close_wait"
	strict := "limits.strict-tcp = true"
	return []testCase{
		// the kernel's own time is a second here instead of a minute
		{name: "half-closed-an-hour-" + mode, steps: steps{
			setting{half, "1"},
			farms{"web": oneBackend(mode, listen1, "b1", lateAnswerPort)},
			lateAnswer{to: service1, after: 3 * time.Second},
		}},
		{name: "half-closed-of-the-farm-" + mode, steps: steps{
			farms{"web": oneBackend(mode, listen1, "b1", lateAnswerPort, `timeouts.half-closed = "1s"`)},
			lateAnswer{to: service1, after: 3 * time.Second, lost: true},
		}},
		{name: "half-closed-with-backend-limits-" + mode, steps: steps{
			setting{half, "1"},
			farms{"web": oneBackend(mode, listen1, "b1", lateAnswerPort) + "connections = 100\n"},
			lateAnswer{to: service1, after: 3 * time.Second},
		}},
		{name: "half-closed-as-another-farm-changes-" + mode, steps: steps{
			setting{half, "1"},
			farms{"web": oneBackend(mode, listen1, "b1", lateAnswerPort)},
			lateAnswer{to: service1, after: 3 * time.Second, meanwhile: farms{
				"web":   oneBackend(mode, listen1, "b1", lateAnswerPort),
				"other": oneBackend(mode, listen2At443, "b2", 0, `timeouts.established = "1h"`),
			}},
		}},
		// without strict-tcp the next packet of the client opens the connection again, to the only backend
		{name: "established-" + mode, steps: steps{
			farms{"web": oneBackend(mode, listen1, "b1", 8081, `timeouts.established = "5s"`)},
			converse{"tcp", service1},
			pause(7 * time.Second),
			continued{by: "tcp", with: "b1"},
		}},
		{name: "established-with-strict-tcp-" + mode, steps: steps{
			farms{
				"web":  oneBackend(mode, listen1, "b1", 8081, strict, `timeouts.established = "5s"`),
				"long": oneBackend(mode, listen2At443, "b2", 8082, strict, `timeouts.established = "1h"`),
			},
			converse{"tcp", service1},
			converse{"tcp", service2At443},
			pause(7 * time.Second),
			silent{"b1"},
			continued{by: "tcp", with: "b2"},
		}},
		{name: "established-with-persistence-" + mode, steps: steps{
			farms{"web": oneBackend(mode, listen1, "b1", 8081, strict, "[persistence]",
				`[timeouts]`, `established = "5s"`)},
			converse{"tcp", service1},
			pause(7 * time.Second),
			silent{"b1"},
		}},
		// a flow that is forgotten gets the backend whose turn it is
		{name: "udp-" + mode, steps: steps{
			farms{"web": turnsFarm(mode, listen1, `timeouts.udp = "1s"`),
				"long": turnsFarm(mode, listen2At443, `timeouts.udp = "1h"`)},
			sameFlow{to: service1, after: 2 * time.Second, moves: true},
			sameFlow{to: service2At443, after: 2 * time.Second},
		}},
		{name: "timeouts-change-under-connections-" + mode, steps: steps{
			farms{"web": oneBackend(mode, listen1, "b1", 8081, strict, `timeouts.established = "1h"`)},
			converse{"tcp", service1},
			farms{"web": oneBackend(mode, listen1, "b1", 8081, strict, `timeouts.established = "5s"`)},
			continued{by: "tcp", with: "b1"},
			pause(7 * time.Second),
			continued{by: "tcp", with: "b1"}, // with the times of the machine
			farms{"web": oneBackend(mode, listen1, "b1", 8081, strict)},
			continued{by: "tcp", with: "b1"},
		}},
	}
}
