package packettest

import (
	"errors"
	"testing"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/netlab"
	"farmc/cmd/internal/statedir"
)

// TestTwoBalancersAgree: two balancers with the same farms pick the same backend for every client, without exchanging
// state. Connections that one has opened continue through the other, because nothing is tracked.
func TestTwoBalancersAgree(t *testing.T) {
	t.Parallel()
	var all []testCase
	for _, scheduler := range []string{"hash", "maglev"} {
		all = append(all,
			testCase{name: "dsr-" + scheduler,
				lab: netlab.Options{OneArmed: true, Pair: true, BackendVIPs: true, DirectReturn: true,
					NoForwarding: true},
				steps: moveConnections(dsrTopologies[0].farm(listen1, `scheduler = "`+scheduler+`"`))},
			testCase{name: "stateless-" + scheduler, lab: netlab.Options{OneArmed: true, Pair: true},
				steps: moveConnections(statelessPaths[1].stateless(listen1, `scheduler = "`+scheduler+`"`, "b1:8081*3",
					"b2:8082"), "b1", "b2")},
			testCase{name: "stateless-ingress-" + scheduler, lab: netlab.Options{OneArmed: true, Pair: true},
				steps: moveConnections(statelessPaths[3].stateless(listen1, `scheduler = "`+scheduler+`"`, "b1:8081*3",
					"b2:8082"), "b1", "b2")})
	}
	runCases(t, all)
}

// moveConnections opens connections through the first balancer and moves them to the second, with the replies of the
// backends in back.
func moveConnections(farm string, back ...string) steps {
	var prepare steps
	if len(back) > 0 {
		prepare = steps{returnByBalancer}
	}
	return steps{
		prepare,
		farms{"web": farm},
		stepFunc(func(s *testbed) error {
			second := &testbed{Lab: &netlab.Lab{Balancer: s.Second}, t: s.t, ctx: s.ctx}
			second.engine = &live.Engine{Store: statedir.Store{Dir: s.t.TempDir()}, Log: s.t.Logf}
			return farms{"web": farm}.do(second)
		}),
		converse{by: "tcp udp", to: service1},
		stepFunc(func(s *testbed) error {
			err := addRoutes(s.Client, "10.2.0.2 fd00:2::2", "192.0.2.0/24 2001:db8::/64")
			for _, b := range back {
				err = errors.Join(err, addRoutes(s.machine(b), "10.2.0.2 fd00:2::2", moreParticular))
			}
			return errors.Join(err, s.Balancer.Sysctl("net.ipv4.ip_forward", "0"),
				s.Balancer.Sysctl("net.ipv6.conf.all.forwarding", "0"))
		}),
		deleteTable,
		continued{by: "tcp udp", with: "b1"},
		continued{by: "tcp udp", with: "b2"},
	}
}

// moreParticular are the clients' networks on the backends' link, in halves of the networks in returnByBalancer.
const moreParticular = "10.2.0.96/28 10.2.0.112/28 10.2.0.128/28 10.2.0.144/28 fd00:2::100/121 fd00:2::180/121"
