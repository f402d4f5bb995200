package packettest

import (
	"errors"
	"strings"
)

// weighted is a farm of two backends, of weight 3 and 1, at different ports, on both families and by both
// protocols.
const weighted = `
	mode      = "MODE"
	listen    = ["192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"]
	scheduler = "SCHEDULER"

	[backends.b1]
	address = ["10.2.0.11", "fd00:2::11"]
	port    = 8081
	weight  = 3

	[backends.b2]
	address = ["10.2.0.12", "fd00:2::12"]
	port    = 8082
`

// weightScenes: connections spread by weight, to the right ports, and the backend sees whom it should, whatever the
// mode, the scheduler, the protocol and the family.
func weightScenes() []scene {
	all := []scene{
		{name: "random-is-not-in-turn", steps: steps{
			farms{"web": weightedBy("random", 1, 1)},
			notInTurn{"tcp udp", both},
		}},
	}
	for _, mode := range []struct{ name, sees string }{{"snat", "balancer"}, {"dnat", ""}} {
		for _, scheduler := range []struct{ name, scene string }{{"random", "weights"}, {"round-robin", "round-robin"}, {"hash", "hash"}} {
			for _, protocol := range []string{"tcp", "udp"} {
				for _, family := range []struct{ name, to string }{{"ip4", "192.0.2.1:80"}, {"ip6", "[2001:db8::1]:80"}} {
					all = append(all, scene{
						name: strings.Join([]string{mode.name, scheduler.scene, protocol, family.name}, "-"),
						steps: steps{
							farms{"web": strings.NewReplacer("MODE", mode.name, "SCHEDULER", scheduler.name).Replace(weighted)},
							ask{by: protocol, to: family.to, sees: mode.sees, turns: scheduler.name == "round-robin",
								shares: shares{"b1:8081": 3, "b2:8082": 1}},
						},
					})
				}
			}
		}
	}
	return all
}

// notInTurn asks one after the other, and expects some backend twice in a row: that two take turns 30 times by chance
// has a probability of 2^-29.
type notInTurn struct{ by, to string }

func (n notInTurn) do(s *stage) error {
	for _, q := range s.questions("", n.by, n.to) {
		last, twice := "", false
		for range 30 {
			answer, err := q.ask(s.speaker(q.from, q.to.Addr()))
			if err != nil {
				return q.blame(err)
			}
			twice = twice || answer.Backend == last
			last = answer.Backend
		}
		if !twice {
			return q.blame(errors.New("backends take turns"))
		}
	}
	return nil
}
