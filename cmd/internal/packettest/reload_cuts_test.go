package packettest

import (
	"fmt"
	"strings"

	"farmc/cmd/internal/netlab"
)

// cutCases: a load ends the connections of backends that are down, and no others.
func cutCases() (all []testCase) {
	for _, mode := range []string{"snat", "dnat"} {
		others := map[string]otherConnections{"snat": manyOthers}[mode]
		all = append(all, testCase{name: "cut-by-state-" + mode, lab: netlab.Options{Backends: 4}, steps: steps{
			others,
			farms{"web": fourBackends(mode, "up", "up", "up", "up")},
			converse{by: "tcp udp", to: service1},
			converse{by: "tcp udp", to: "192.0.2.1:8050 [2001:db8::1]:8050"},
			farms{"web": fourBackends(mode, "drain", "up", "down", "")},
			continued{by: "tcp", with: "b3", answers: noBackend},
			continued{by: "tcp", with: "b1 b2 b4"},
			continued{by: "udp", with: "b1 b2"},
			continued{by: "udp", with: "b3 b4", answers: "b2"},
			// a load of another farm ends no connection
			farms{"web": fourBackends(mode, "drain", "up", "down", ""),
				"mail": oneBackend("snat", `"192.0.2.2:80"`, "b1", 0)},
			continued{by: "tcp", with: "b1 b2 b4"},
			continued{by: "udp", with: "b1"},
		}})
	}
	return append(all,
		testCase{name: "cut-by-farm", steps: steps{
			manyOthers,
			farms{},
			converse{by: "tcp udp", to: service1},
			farms{"web": oneBackend("dnat", listen1, "b1", 8081)}, // UDP would bypass the farm forever
			continued{by: "tcp", with: "balancer"},
			continued{by: "udp", with: "balancer", answers: "b1"},
			converse{by: "tcp udp", to: service1},
			farms{"renamed": oneBackend("dnat", listen1, "b1", 8081)},
			continued{by: "tcp udp", with: "b1"},
			farms{"renamed": oneBackend("dnat", listen1, "b1", 8081, `state = "down"`)},
			continued{by: "tcp", with: "b1"},
			continued{by: "udp", with: "b1", answers: "balancer"},
			farms{"any": oneBackend("snat", `"*:80/tcp,udp"`, "b2", 0)},
			continued{by: "tcp", with: "b1"},
			continued{by: "udp", with: "balancer", answers: "b2"},
			farms{"any": oneBackend("snat", `"*:80/tcp,udp"`, "b2", 0), "web": oneBackend("dnat", listen1, "b1", 8081)},
			continued{by: "udp", with: "b2", answers: "b1"}, // the more specific farm
			farms{},
			continued{by: "udp", with: "b1", answers: "balancer"},
			continued{by: "tcp", with: "b1"},
		}},
		// a machine serves two farms, and is down in one
		testCase{name: "cut-of-one-farm", steps: steps{
			farms{"web": oneBackend("snat", listen1, "b1", 0),
				"mail": oneBackend("snat", `"192.0.2.2/all", "2001:db8::2/all"`, "b1", 0)},
			converse{by: "tcp udp", to: "192.0.2.2:80 [2001:db8::2]:80"},
			farms{"web": oneBackend("snat", listen1, "b1", 0) + `state = "down"`,
				"mail": oneBackend("snat", `"192.0.2.2/all", "2001:db8::2/all"`, "b1", 0)},
			continued{by: "tcp udp", with: "b1"},
			farms{"web": oneBackend("snat", listen1, "b1", 0),
				"mail": oneBackend("snat", `"192.0.2.2/all", "2001:db8::2/all"`, "b1", 0) + `state = "down"`},
			continued{by: "tcp udp", with: "b1", answers: noBackend},
		}},
		// a cancelled farmc still ends connections of backends that are down
		testCase{name: "cut-although-cancelled", lab: netlab.Options{Backends: 4}, steps: steps{
			farms{"web": fourBackends("snat", "up", "up", "", "")},
			converse{by: "tcp udp", to: service1},
			interruptedLoad{farms{"web": fourBackends("snat", "down", "up", "", "")}},
			continued{by: "tcp udp", with: "b2"},
			continued{by: "tcp", with: "b1", answers: noBackend},
			continued{by: "udp", with: "b1", answers: "b2"},
		}},
		// a client that repeats its first packet goes to another backend when the one that never answers drains or is
		// gone
		unansweredMoves("snat", `state = "drain"`), unansweredMoves("dnat", `state = "drain"`),
		unansweredMoves("snat", ""), unansweredMoves("dnat", ""),
		unansweredInitMoves("snat"), unansweredInitMoves("dnat"),
		testCase{name: "open-without-closed-connections", steps: steps{
			farms{"web": oneBackend("snat", listen1, "b1", 8081)},
			request{by: "tcp", to: service1, shares: shares{"b1:8081": 1}, sees: "balancer"},
			openConnections(0),
			hold{by: "tcp", to: service1},
			openConnections(40), // 20 of each family
		}},
		// with many backends farmc reads all entries at once
		testCase{name: "cut-of-many", steps: steps{
			manyOthers,
			manyFarms("up"),
			converse{by: "tcp udp", to: "192.0.2.3:80 192.0.2.17:80"},
			manyFarms("down"),
			continued{by: "tcp udp", with: "b1", answers: noBackend},
		}})
}

// otherConnections are conntrack entries of the balancer that are not of its farms.
type otherConnections int

func (n otherConnections) do(s *testbed) error {
	return s.Balancer.Do(func() error { return fillConntrack(int(n)) })
}

// manyOthers are so many that farmc asks the kernel for the entries of the addresses that changed.
const manyOthers otherConnections = 1001

// fourBackends is a farm of b1 to b4, of which b2 and b4 have a port. A backend without a state is left out.
func fourBackends(mode string, states ...string) string {
	text := `
		mode   = "` + mode + `"
		listen = ["192.0.2.1:80,8000-8100/tcp,udp", "[2001:db8::1]:80,8000-8100/tcp,udp"]
	`
	for i, state := range states {
		if state == "" {
			continue
		}
		text += fmt.Sprintf("[backends.b%d]\naddress = ['10.2.0.1%[1]d', 'fd00:2::1%[1]d']\nstate = '%s'\n", i+1, state)
		if i%2 == 1 {
			text += "port = 8082\n"
		}
	}
	return text
}

// manyFarms are twenty farms, at 192.0.2.1 to .20, with a backend in this state and many unreachable ones.
func manyFarms(state string) farms {
	all := farms{}
	for n := 1; n <= 20; n++ {
		all[fmt.Sprint("farm-", n)] = oneBackend("snat", fmt.Sprintf(`"192.0.2.%d:80/tcp,udp"`, n), "b1", 8081) +
			fmt.Sprintf(
				"state = %q\n[backends.far]\naddress = '10.9.0.%d'\nstate = 'down'\n", state, n)
	}
	if state == "up" {
		return all
	}
	for name := range all {
		all[name] = strings.Replace(all[name], "10.9.0.", "10.9.1.", 1)
	}
	return all
}
