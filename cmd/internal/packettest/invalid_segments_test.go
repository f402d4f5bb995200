package packettest

import (
	"slices"
	"testing"

	"farmc/cmd/internal/netlab"
)

// TestInvalidSegments: NAT does not translate a segment far beyond the window, of a backend or of a client. The
// receiver answers it with a reset, and the reset ends the connection, unless farmc drops the segment.
func TestInvalidSegments(t *testing.T) {
	t.Parallel()
	runCases(t, slices.Concat(invalidSegmentCases("snat"), invalidSegmentCases("dnat"), []testCase{
		{name: "direct-connections-are-not-filtered", steps: steps{
			farms{"web": oneBackend("dnat", listen1, "b1", 8081), "range": oneBackend("dnat", listen1Range, "b2", 0)},
			hold{by: "tcp", to: "10.2.0.11:443 [fd00:2::11]:443 10.2.0.12:8082 [fd00:2::12]:8082"},
			sendOutOfWindow{by: "b1", arrives: true}, sendOutOfWindow{by: "b2", arrives: true},
			sendOutOfWindow{by: "client", arrives: true},
		}},
	}))
}

const listen1Range = `"192.0.2.1:8000-8070/tcp,udp", "[2001:db8::1]:8000-8070/tcp,udp"`

func invalidSegmentCases(mode string) []testCase {
	const strict = "[limits]\nstrict-tcp = true\n"
	const pass = `invalid = "pass"`
	web := oneBackend(mode, listen1, "b1", 8081)
	webPasses := oneBackend(mode, listen1, "b1", 8081, pass)
	survives := func(name, to string, before ...step) testCase {
		return testCase{name: mode + "-survives-" + name, steps: append(before,
			hold{by: "tcp", to: to}, sendOutOfWindow{by: "b1"}, echo{}, sendOutOfWindow{by: "client"}, echo{})}
	}
	breaks := func(by string) testCase {
		return testCase{name: mode + "-breaks-with-pass-of-" + by, steps: steps{
			farms{"web": webPasses}, noChain("invalid"),
			hold{by: "tcp", to: service1}, sendOutOfWindow{by: by}, stepFunc(allBroken),
			runOn{"balancer", "sysctl -q -w net.netfilter.nf_conntrack_tcp_be_liberal=1"}, closeAll,
			hold{by: "tcp", to: service1}, sendOutOfWindow{by: by, arrives: true}, echo{},
		}}
	}
	routed := survives("without-own-address", service1, addDefaultRoutes, farms{"web": web})
	routed.lab = netlab.Options{NoVIPs: true}
	return []testCase{
		survives("on-port", service1, farms{"web": web}),
		survives("with-strict-tcp", service1, farms{"web": web + strict}),
		survives("at-interfaces", service1,
			farms{"web": oneBackend(mode, listen1, "b1", 8081, `interfaces = "eth0"`)}),
		survives("on-range", service1At8050, farms{"web": oneBackend(mode, listen1Range, "b1", 0)}),
		survives("on-whole-address", service2, farms{"web": oneBackend(mode, listenWhole2, "b1", 0)}),
		survives("on-any-address", service1, farms{"web": oneBackend(mode, `"*:80/tcp,udp"`, "b1", 8081)}),
		survives("beside-farm-with-pass", service1,
			farms{"web": web, "other": oneBackend(mode, listen2At443, "b1", 443, pass)}),
		survives("after-reload", service1,
			farms{"web": webPasses}, noChain("invalid"),
			farms{"web": web, "mail": oneBackend("dnat", listen2At443, "b2", 0)},
			farms{"web": web}),
		{name: mode + "-does-not-forward-segments-of-known-clients", steps: steps{
			farms{"web": web + "[persistence]\nrenew = \"packet\"\n"},
			hold{by: "tcp", to: service1}, invalidSegmentsStay{sendOutOfWindow{by: "client"}}, echo{},
		}},
		routed,
		breaks("b1"), breaks("client"),
		{name: mode + "-survives-with-local-clients", steps: steps{
			farms{"web": oneBackend(mode, listen1, "b1", 8081, "local-clients = true")},
			hold{from: "balancer", by: "tcp", to: service1}, sendOutOfWindow{by: "b1"}, echo{},
		}},
	}
}
