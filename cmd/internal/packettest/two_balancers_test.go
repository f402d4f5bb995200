package packettest

import (
	"errors"
	"testing"

	"farmc/cmd/internal/live"
	"farmc/cmd/internal/netlab"
)

// Two balancers with the same farms agree on where every client belongs, with nothing passed between them: connections
// that one has opened go on by the other, where nothing is tracked.
func TestPair(t *testing.T) {
	t.Parallel()
	var all []scene
	for _, scheduler := range []string{"hash", "maglev"} {
		all = append(all,
			scene{name: "dsr-" + scheduler, lab: netlab.Options{OneArmed: true, Pair: true, BackendVIPs: true, DirectReturn: true, NoForwarding: true},
				steps: takeOver(arms[0].farm(listenBoth, `scheduler = "`+scheduler+`"`))},
			scene{name: "stateless-" + scheduler, lab: netlab.Options{OneArmed: true, Pair: true},
				steps: takeOver(ways[1].stateless(listenBoth, `scheduler = "`+scheduler+`"`, "b1:8081*3", "b2:8082"), "b1", "b2")},
			scene{name: "stateless-ingress-" + scheduler, lab: netlab.Options{OneArmed: true, Pair: true},
				steps: takeOver(ways[3].stateless(listenBoth, `scheduler = "`+scheduler+`"`, "b1:8081*3", "b2:8082"), "b1", "b2")})
	}
	play(t, all)
}

// takeOver opens connections by the first balancer, and moves them to the second, the replies of some backends, too.
func takeOver(farm string, back ...string) steps {
	var prepare steps
	if len(back) > 0 {
		prepare = steps{backByBalancer}
	}
	return steps{
		prepare,
		farms{"web": farm},
		deed(func(s *stage) error {
			second := &stage{Lab: &netlab.Lab{Balancer: s.Second}, t: s.t, ctx: s.ctx}
			second.engine = &live.Engine{Store: live.Store{Dir: s.t.TempDir()}, Log: s.t.Logf}
			return farms{"web": farm}.do(second)
		}),
		chat{by: "tcp udp", to: both},
		deed(func(s *stage) error {
			err := routes(s.Client, "10.2.0.2 fd00:2::2", "192.0.2.0/24 2001:db8::/64")
			for _, b := range back {
				err = errors.Join(err, routes(s.machine(b), "10.2.0.2 fd00:2::2", moreParticular))
			}
			return errors.Join(err, s.Balancer.Sysctl("net.ipv4.ip_forward", "0"), s.Balancer.Sysctl("net.ipv6.conf.all.forwarding", "0"))
		}),
		wipe,
		then{by: "tcp udp", with: "b1"},
		then{by: "tcp udp", with: "b2"},
	}
}

// moreParticular are the networks of clients on the backends' link, in halves of those in backByBalancer.
const moreParticular = "10.2.0.96/28 10.2.0.112/28 10.2.0.128/28 10.2.0.144/28 fd00:2::100/121 fd00:2::180/121"
