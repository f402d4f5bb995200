package packettest

import (
	"fmt"
	"testing"
)

// New connections are counted once, each mode in its way, and go on over loads. Each number is of both families.
func TestCounts(t *testing.T) {
	t.Parallel()
	var cases []testCase
	for _, mode := range []string{"snat", "dnat"} {
		cases = append(cases, testCase{name: "repeated-syn-" + mode, lab: countsLab, steps: steps{
			countedFarm(mode, listen1),
			deaf,
			repeatedSYN{service1},
			newConnections{"b1": 2},
		}}, testCase{name: "conversations-" + mode, lab: countsLab, steps: steps{
			countedFarm(mode, listen1),
			attempt{as: 0, by: "udp", to: service1, times: 3, pass: 3, datagrams: 2},
			newConnections{"b1": 6},
		}})
	}
	for _, mode := range []string{"dsr", "stateless"} {
		cases = append(cases, testCase{name: "datagrams-" + mode, lab: countsLab, steps: steps{
			countedFarm(mode, `"192.0.2.1:80/udp", "[2001:db8::1]:80/udp"`),
			attempt{as: 0, by: "udp", to: service1, times: 3, pass: 3, datagrams: 2},
			newConnections{},
		}})
	}
	for _, mode := range []string{"snat", "dnat", "dsr", "stateless"} {
		cases = append(cases, persistentClientCounts(mode), countsOverLoads(mode))
	}
	runCases(t, append(cases, countsOfTables()))
}

// persistentClientCounts: each connection of a known client counts, and the client counts once.
func persistentClientCounts(mode string) testCase {
	return testCase{name: "persistent-client-" + mode, lab: countsLab, steps: steps{
		countedFarm(mode, listen1, "[persistence]\ntimeout = '1h'\n"),
		attempt{as: 0, by: "tcp", to: service1, times: 5, pass: 5},
		newConnections{"b1": 10},
		persistentClients{"b1": 2},
		attempt{as: 1, by: "tcp", to: service1, times: 1, pass: 1},
		newConnections{"b1": 12},
		persistentClients{"b1": 4},
	}}
}

// countsOverLoads: counts go on over a full load and while a backend drains, and begin anew with new tables.
func countsOverLoads(mode string) testCase {
	connects := func(times int) step { return attempt{as: 0, by: "tcp", to: service1, times: times, pass: times} }
	return testCase{name: "loads-" + mode, lab: countsLab, steps: steps{
		countedFarm(mode, listen1),
		connects(3),
		newConnections{"b1": 6},
		countedSince{"b1", "start"},
		fullLoad,
		newConnections{"b1": 6},
		countedSince{"b1", "start"},
		connects(2),
		newConnections{"b1": 10},
		countedFarm(mode, listen1, "state = 'drain'", otherBackend(mode)),
		connects(1),
		newConnections{"b1": 10, "b2": 2},
		countedSince{"b1", "start"},
		countedLater{"b2", "start"},
		countedFarm(mode, listen1),
		connects(1),
		newConnections{"b1": 12},
		countedSince{"b1", "start"},
		noTables,
		countedFarm(mode, listen1),
		newConnections{"b1": 0},
		countedLater{"b1", "start"},
	}}
}

// countsOfTables: a table of maglev serves and counts with keys of its own, alone and beside a second kind of farms;
// beside a third kind without them; and with them again.
func countsOfTables() testCase {
	const form = "mode = 'dsr'\nlisten = '%s'\nscheduler = '%s'\ninterfaces = ['eth0']\n[backends.b1]\n" +
		"address = '10.2.0.11'\ninterface = 'eth1'\n"
	const first, second, third = "192.0.2.1:80", "192.0.2.2:80", "192.0.2.2:443"
	one := farms{"web": fmt.Sprintf(form, first, "maglev")}
	two := farms{"web": one["web"], "hashed": fmt.Sprintf(form, second, "hash")}
	three := farms{"web": one["web"], "hashed": two["hashed"], "symmetric": fmt.Sprintf(form, third, "symmetric-hash")}
	connects := func(to string) step { return attempt{as: 0, by: "tcp", to: to, times: 4, pass: 4} }
	return testCase{name: "tables-of-maglev", lab: countsLab, steps: steps{
		one, connects(first), newConnections{"b1": 4}, countedSince{"b1", "start"},
		two, connects(first), connects(second), newConnections{"b1": 8},
		three, connects(first), connects(second), connects(third), newConnections{"b1": 12},
		fullLoad, newConnections{"b1": 12},
		two, connects(first), connects(second), newConnections{"b1": 16},
		one, connects(first), newConnections{"b1": 20},
		countedSince{"b1", "start"},
	}}
}
