package packettest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLimits(t *testing.T) {
	t.Parallel()
	runCases(t, limitCases())
}

// farmWithLimits has the backend b1, and several frontends in both families.
func farmWithLimits(mode string, limits ...string) string {
	return oneBackend(mode, `"192.0.2.1:80,443/tcp,udp", "[2001:db8::1]:80,443/tcp,udp"`, "b1", 0) + "[limits]\n" +
		strings.Join(limits, "\n")
}

const service1At443 = "192.0.2.1:443 [2001:db8::1]:443"

// limitCases: a limit lets its number of packets pass, drops the next one, and counts it. A rate that must not refill
// during a test is a rate of a day.
func limitCases() []testCase {
	all := []testCase{
		{name: "new-connections-of-the-farm", steps: steps{
			farms{"web": farmWithLimits("snat", `new = { rate = "1/day", burst = 6 }`),
				"mail": oneBackend("snat", `"192.0.2.2:80"`, "b2", 0)},
			attempt{as: 0, by: "tcp", to: service1, times: 2, pass: 2},      // of each family
			attempt{as: 1, by: "udp", to: service1At443, times: 1, pass: 1}, // another client, another frontend
			attempt{as: 2, by: "tcp udp", to: service1, times: 1, pass: 0},  // a third client
			limitCounter{farm: "web", reason: "new", packets: 4},
			attempt{as: 2, by: "tcp", to: "192.0.2.2:80", times: 8, pass: 8},
		}},
		{name: "connections-per-client", steps: steps{
			farms{"web": farmWithLimits("dnat", `connections-per-client = 3`)},
			attempt{as: 0, by: "tcp", to: "192.0.2.1:80", times: 3, pass: 3, keep: true},
			attempt{as: 0, by: "tcp udp", to: "192.0.2.1:80 192.0.2.1:443", times: 1, pass: 0},
			attempt{as: 1, by: "tcp", to: "192.0.2.1:443", times: 3, pass: 3, keep: true},
			attempt{as: 0, by: "tcp", to: "[2001:db8::1]:80", times: 3, pass: 3, keep: true},
			attempt{as: 0, by: "tcp", to: "[2001:db8::1]:443", times: 1, pass: 0, sameNetwork: true},
			attempt{as: 1, by: "tcp", to: "[2001:db8::1]:443", times: 1, pass: 1},
			limitCounter{farm: "web", reason: "connections-per-client", packets: 5},
			echo{},
			closeHeld{1}, // closed connections do not count
			eventually{attempt{as: 0, by: "tcp", to: "192.0.2.1:80", times: 1, pass: 1, keep: true}},
			attempt{as: 0, by: "tcp", to: "192.0.2.1:80", times: 1, pass: 0},
			echo{},
		}},
		{name: "connections-of-the-farm", steps: steps{
			farms{"web": farmWithLimits("snat", `connections = 4`)},
			attempt{as: 0, by: "tcp", to: service1, times: 1, pass: 1, keep: true},
			attempt{as: 1, by: "tcp", to: service1At443, times: 1, pass: 1, keep: true},
			attempt{as: 2, by: "tcp udp", to: service1, times: 1, pass: 0},
			limitCounter{farm: "web", reason: "connections", packets: 4},
			closeHeld{1},
			eventually{attempt{as: 2, by: "tcp", to: service1At443, times: 1, pass: 1, keep: true, firstTargets: 1}},
			echo{},
		}},
		{name: "later-datagrams-of-a-conversation-do-not-count", steps: steps{
			farms{"web": farmWithLimits("snat", `new-per-client = { rate = "1/day", burst = 1 }`)},
			stepFunc(func(s *testbed) error { return s.send(clientAddress(0, false), "192.0.2.1:9", 1) }),
			attempt{as: 0, by: "udp", to: service1, times: 1, pass: 1, datagrams: 20},
			limitCounter{farm: "web", reason: "new-per-client", packets: 0},
		}},
		{name: "resets-per-client", steps: steps{
			farms{"web": farmWithLimits("dnat", `resets-per-client = { rate = "1/day", burst = 3 }`, `ban = "1h"`)},
			resetConnections{as: 0, to: service1, times: 3},
			attempt{as: 0, by: "tcp", to: service1, times: 1, pass: 1},
			limitCounter{farm: "web", reason: "resets-per-client", packets: 0},
			resetConnections{as: 0, to: service1, times: 1},
			limitCounter{farm: "web", reason: "resets-per-client", packets: 2},
			attempt{as: 0, by: "tcp udp", to: service1, times: 1, pass: 0},
			attempt{as: 1, by: "tcp udp", to: service1, times: 1, pass: 1},
			limitCounter{farm: "web", reason: "banned", packets: 4, orMore: true},
		}},
		{name: "ban-ends-by-itself", steps: steps{
			farms{"web": farmWithLimits("snat", `new-per-client = { rate = "1/day", burst = 3 }`, `ban = "1h"`),
				"mail": oneBackend("snat", `"192.0.2.2:80", "[2001:db8::2]:80"`, "b2", 0),
				"soon": oneBackend("snat", `"192.0.2.3:80/tcp,udp", "[2001:db8::3]:80/tcp,udp"`, "b1", 0) +
					"[limits]\nnew-per-client = { rate = '20/second', burst = 3 }\nban = '1s'"},
			attempt{as: 1, by: "tcp", to: service1, times: 1, pass: 1, keep: true},
			attempt{as: 0, by: "tcp", to: service1, times: 1, pass: 1, keep: true},
			sendDatagrams{as: 0, to: service1, times: 20},
			attempt{as: 0, by: "tcp", to: service1, times: 1, pass: 0},
			attempt{as: 0, by: "udp", to: service1At443, times: 1, pass: 0},
			stalled{2, 4}, // of the banned client
			attempt{as: 0, by: "tcp", to: "192.0.2.2:80 [2001:db8::2]:80", times: 1, pass: 1},
			attempt{as: 1, by: "tcp udp", to: service1, times: 1, pass: 1},
			closeHeld{4},
			attempt{as: 0, by: "tcp", to: service3, times: 1, pass: 1, keep: true},
			sendDatagrams{as: 0, to: service3, times: 200},
			limitCounter{farm: "soon", reason: "banned", packets: 20, orMore: true},
			eventually{attempt{as: 0, by: "tcp udp", to: service3, times: 1, pass: 1}},
			echo{},
		}},
		{name: "verdict-reject", steps: steps{
			farms{"web": farmWithLimits("snat", `new-per-client = { rate = "1/day", burst = 2 }`, `verdict = "reject"`,
				`ban = "1h"`)},
			attempt{as: 0, by: "tcp", to: service1, times: 2, pass: 2},
			attempt{as: 0, by: "tcp udp", to: service1, times: 1, pass: 0, refused: true},
			attempt{as: 0, by: "tcp udp", to: service1At443, times: 1, pass: 0, refused: true}, // banned by now
			limitCounter{farm: "web", reason: "new-per-client", packets: 2},
			limitCounter{farm: "web", reason: "banned", packets: 6, orMore: true},
		}},
		{name: "verdict-log", steps: steps{
			farms{"web": farmWithLimits("snat", `new-per-client = { rate = "1/day", burst = 2 }`, `connections = 1`,
				`verdict = "log"`, `ban = "1h"`)},
			attempt{as: 0, by: "tcp", to: service1, times: 2, pass: 2, keep: true},
			attempt{as: 0, by: "tcp", to: service1, times: 1, pass: 1},
			attempt{as: 0, by: "tcp", to: service1, times: 1, pass: 1},
			limitCounter{farm: "web", reason: "new-per-client", packets: 4, letPass: true},
			limitCounter{farm: "web", reason: "connections", packets: 7, letPass: true},
			limitCounter{farm: "web", reason: "banned", packets: 2, letPass: true, orMore: true},
			echo{},
		}},
		{name: "full-set-limits-unknown-clients", steps: steps{
			farms{"web": farmWithLimits("snat", `new-per-client = { rate = "1/day", burst = 3 }`, "clients = 2",
				`ban = "1h"`)},
			attempt{as: 0, by: "tcp", to: service1, times: 1, pass: 1},
			attempt{as: 1, by: "tcp", to: service1, times: 1, pass: 1},
			attempt{as: 2, by: "tcp", to: service1, times: 4, pass: 3}, // the set is full: the client is limited
			limitCounter{farm: "web", reason: "new-per-client", packets: 2},
			attempt{as: 3, by: "udp", to: service1At443, times: 4, pass: 3}, // other clients are not locked out
			limitCounter{farm: "web", reason: "new-per-client", packets: 4},
			attempt{as: 0, by: "tcp", to: service1, times: 2, pass: 2},
			limitCounter{farm: "web", reason: "banned", packets: 0},
			attempt{as: 0, by: "tcp", to: service1, times: 1, pass: 0}, // by its own count
			limitCounter{farm: "web", reason: "new-per-client", packets: 6},
			attempt{as: 0, by: "tcp", to: service1, times: 1, pass: 0},
			limitCounter{farm: "web", reason: "banned", packets: 2, orMore: true},
			attempt{as: 2, by: "tcp", to: service1, times: 1, pass: 0}, // a client that shares its bucket is not banned
			limitCounter{farm: "web", reason: "banned", packets: 2, orMore: true},
		}},
		{name: "full-set-of-connections", steps: steps{
			farms{"web": farmWithLimits("dnat", "connections-per-client = 2", "clients = 1")},
			attempt{as: 0, by: "tcp", to: service1, times: 1, pass: 1, keep: true},
			attempt{as: 1, by: "tcp", to: service1, times: 2, pass: 2, keep: true},
			attempt{as: 1, by: "tcp", to: service1At443, times: 1, pass: 0},
			attempt{as: 2, by: "tcp", to: service1At443, times: 2, pass: 2, keep: true},
			limitCounter{farm: "web", reason: "connections-per-client", packets: 2},
			echo{},
		}},
		{name: "denied-before-limits", steps: steps{
			farms{"web": farmWithLimits("snat", "new-per-client = { rate = '1/day', burst = 1 }", "[access]",
				"deny = ['198.51.100.100', '2001:db8:c:100::1']")},
			attempt{as: 0, by: "tcp", to: service1, times: 3, pass: 0},
			limitCounter{farm: "web", reason: "denied", packets: 6},
			limitCounter{farm: "web", reason: "new-per-client", packets: 0},
			attempt{as: 1, by: "tcp", to: service1, times: 2, pass: 1},
			limitCounter{farm: "web", reason: "denied", packets: 6},
		}},
		{name: "ban-by-hand", steps: steps{
			farms{"web": farmWithLimits("snat", `ban = "1h"`)},
			attempt{as: 0, by: "tcp", to: service1, times: 2, pass: 2, keep: true},
			attempt{as: 1, by: "tcp", to: service1At443, times: 1, pass: 1, keep: true},
			backendStatus{farm: "web", served: map[string]int{"b1": 6}, open: map[string]int{"b1": 6}},
			ban{"web", "198.51.100.100"}, ban{"web", "2001:db8:c:100::77"},
			bannedClients{"web", []string{"198.51.100.100", "2001:db8:c:100::/64"}, time.Hour},
			attempt{as: 0, by: "tcp udp", to: service1 + " " + service1At443, times: 1, pass: 0},
			stalled{0, 4},
			attempt{as: 1, by: "tcp udp", to: service1, times: 1, pass: 1},
			limitCounter{farm: "web", reason: "banned", packets: 8, orMore: true},
			unban{"web", "198.51.100.100"}, unban{"web", "2001:db8:c:100::/64"},
			bannedClients{"web", nil, 0},
			attempt{as: 0, by: "tcp udp", to: service1 + " " + service1At443, times: 1, pass: 1},
		}},
		{name: "limits-survive-loads", steps: steps{
			farmsWithMemory("b1", 5),
			attempt{as: 0, by: "tcp", to: service3, times: 3, pass: 3, keep: true},
			attempt{as: 0, by: "tcp", to: service3, times: 1, pass: 0},
			attempt{as: 1, by: "tcp", to: service1, times: 6, pass: 5}, // and is banned for it
			attempt{as: 1, by: "tcp", to: service1, times: 1, pass: 0},
			attempt{as: 2, by: "udp", to: service1, times: 4, pass: 4},
			limitCounter{farm: "slow", reason: "connections-per-client", packets: 2},
			limitCounter{farm: "web", reason: "new-per-client", packets: 2},
			limitCounter{farm: "web", reason: "banned", packets: 2, orMore: true},
			farmsWithMemory("b2", 5), // another backend
			limitCounter{farm: "slow", reason: "connections-per-client", packets: 2},
			limitCounter{farm: "web", reason: "new-per-client", packets: 2},
			limitCounter{farm: "web", reason: "banned", packets: 2, orMore: true},
			attempt{as: 1, by: "tcp", to: service1, times: 1, pass: 0}, // still banned
			limitCounter{farm: "web", reason: "banned", packets: 4, orMore: true},
			attempt{as: 2, by: "udp", to: service1, times: 2, pass: 1}, // its bucket is as empty as before
			limitCounter{farm: "web", reason: "new-per-client", packets: 4},
			attempt{as: 0, by: "tcp", to: service3, times: 1, pass: 0}, // it has three open connections
			limitCounter{farm: "slow", reason: "connections-per-client", packets: 4},
			echo{},
			farmsWithMemory("b2", 6), // another limit, and the same bans
			attempt{as: 1, by: "tcp", to: service1, times: 1, pass: 0},
			limitCounter{farm: "web", reason: "banned", packets: 6, orMore: true},
			limitCounter{farm: "web", reason: "new-per-client", packets: 4},
			attempt{as: 3, by: "udp", to: service1, times: 7, pass: 6},
		}},
		{name: "limits-of-a-range-but-not-of-the-port-in-it", steps: steps{
			farms{"range": oneBackend("snat", `"192.0.2.1:1-1000"`, "b1", 0) +
				"[limits]\nnew-per-client = { rate = '1/day', burst = 1 }\nstrict-tcp = true\nban = '1h'",
				"web": oneBackend("dnat", `"192.0.2.1:80"`, "b2", 0)},
			attempt{as: 0, by: "tcp", to: "192.0.2.1:443", times: 2, pass: 1},
			limitCounter{farm: "range", reason: "new-per-client", packets: 1},
			attempt{as: 0, by: "tcp", to: "192.0.2.1:443", times: 1, pass: 0},
			limitCounter{farm: "range", reason: "banned", packets: 1, orMore: true},
			attempt{as: 0, by: "tcp", to: "192.0.2.1:80", times: 3, pass: 3},
		}},
		{name: "limits-of-every-address", steps: steps{
			farms{"web": oneBackend("snat", `"*:80"`, "b1", 0, remoteOnly) +
				"[limits]\nnew-per-client = { rate = '1/day', burst = 2 }\nban = '1h'"},
			attempt{as: 0, by: "tcp", to: "192.0.2.1:80 192.0.2.2:80 [2001:db8::1]:80 [2001:db8::2]:80", times: 1,
				pass: 1},
			attempt{as: 0, by: "tcp", to: "192.0.2.3:80 [2001:db8::3]:80", times: 1, pass: 0},
			limitCounter{farm: "web", reason: "new-per-client", packets: 2},
			attempt{as: 0, by: "tcp", to: "192.0.2.1:80 [2001:db8::1]:80", times: 1, pass: 0},
			limitCounter{farm: "web", reason: "banned", packets: 2, orMore: true},
			request{from: "balancer", by: "tcp", to: service1, shares: shares{"balancer:80": 1},
				sees: "192.0.2.1 2001:db8::1"},
		}},
		{name: "limits-of-a-whole-address", steps: steps{
			farms{"web": oneBackend("dnat", `"192.0.2.1/all", "2001:db8::1/all"`, "b1", 0) +
				"[limits]\nnew-per-client = { rate = '1/day', burst = 2 }\nban = '1h'"},
			attempt{as: 0, by: "tcp", to: service1 + " " + service1At443, times: 1, pass: 1},
			attempt{as: 0, by: "udp", to: service1, times: 1, pass: 0},
			limitCounter{farm: "web", reason: "new-per-client", packets: 2},
		}},
		{name: "limits-inside-interfaces", steps: steps{
			farms{"web": farmWithLimits("snat", `new-per-client = { rate = "1/day", burst = 1 }`,
				`ban = "1h"`)}.inside("web", "eth1"),
			attempt{as: 0, by: "tcp", to: service1, times: 2, pass: 2}, // the balancer's own answer
			farms{"web": farmWithLimits("snat", `new-per-client = { rate = "1/day", burst = 1 }`,
				`ban = "1h"`)}.inside("web", "eth0"),
			attempt{as: 0, by: "tcp", to: service1, times: 2, pass: 1},
			limitCounter{farm: "web", reason: "new-per-client", packets: 2},
		}},
		{name: "limits-of-mode-local", steps: steps{
			farms{"proxy": "mode = 'local'\nlisten = [" + listen1 +
				"]\n[limits]\nconnections-per-client = 2\nban = '1h'"},
			attempt{as: 0, by: "tcp", to: service1, times: 2, pass: 2, keep: true},
			attempt{as: 0, by: "tcp", to: service1, times: 1, pass: 0},
			limitCounter{farm: "proxy", reason: "connections-per-client", packets: 2},
			attempt{as: 0, by: "tcp", to: service1, times: 1, pass: 0},
			limitCounter{farm: "proxy", reason: "banned", packets: 2, orMore: true},
			farms{"proxy": "mode = 'local'\nlisten = [" + listen1 +
				"]\n[limits]\nnew-per-client = { rate = '1/day', burst = 3 }"},
			attempt{as: 1, by: "tcp", to: service1, times: 3, pass: 3},
			attempt{as: 1, by: "udp", to: service1, times: 1, pass: 0},
			limitCounter{farm: "proxy", reason: "new-per-client", packets: 2},
		}},
	}
	for _, mode := range []string{"snat", "dnat"} {
		all = append(all, testCase{name: "new-per-client-" + mode, steps: steps{
			farms{"web": farmWithLimits(mode, `new-per-client = { rate = "1/day", burst = 5 }`)},
			attempt{as: 0, by: "tcp", to: service1, times: 3, pass: 3},
			attempt{as: 0, by: "udp", to: service1, times: 1, pass: 1},
			attempt{as: 0, by: "tcp", to: service1At443, times: 2, pass: 1},
			attempt{as: 0, by: "udp", to: service1At443, times: 1, pass: 0},
			limitCounter{farm: "web", reason: "new-per-client", packets: 4},
			attempt{as: 0, by: "tcp", to: "[2001:db8::1]:80", times: 1, pass: 0, sameNetwork: true}, // in the same /64
			attempt{as: 1, by: "tcp", to: service1, times: 5, pass: 5},
			limitCounter{farm: "web", reason: "new-per-client", packets: 5},
		}})
	}
	for _, verdict := range []string{"drop", "reject"} {
		for _, mode := range []string{"snat", "dnat", "local"} {
			all = append(all, bannedClientCloses(mode, verdict))
		}
	}
	strict := "\n[limits]\nstrict-tcp = true\n"
	all = append(all, testCase{name: "strict-tcp", steps: steps{
		farms{"web": oneBackend("dnat", listen1, "b1", 0)},
		filterSegments{as: 0, to: service1,
			passed: []segment{invalidSegments[6], unrelatedSegments[0],
				openingSegments[0]}}, // without the limit they pass
		farms{"web": oneBackend("dnat", listen1, "b1", 0) + strict},
		filterSegments{as: 0, to: service1, dropped: slices.Concat(invalidSegments, unrelatedSegments),
			passed: openingSegments},
		limitCounter{farm: "web", reason: "strict-tcp", packets: 2 * (len(invalidSegments) + len(unrelatedSegments))},
		attempt{as: 0, by: "tcp udp", to: service1, times: 2, pass: 2},
		transfer{by: "tcp", to: service1, size: 300_000},
		hold{by: "tcp", to: service1},
		echo{},
		limitCounter{farm: "web", reason: "strict-tcp", packets: 2 * (len(invalidSegments) + len(unrelatedSegments))},
		farms{"web": oneBackend("dnat", listen1, "b1", 0) + strict + "verdict = 'log'"},
		filterSegments{as: 1, to: service1,
			passed: []segment{invalidSegments[6], unrelatedSegments[0], openingSegments[0]}},
	}}, testCase{name: "strict-tcp-stateless", steps: steps{
		farms{"web": oneBackend("stateless", listen1, "b1", 0) + strict},
		filterSegments{as: 0, to: service1, dropped: invalidSegments,
			passed: slices.Concat(unrelatedSegments, openingSegments)},
		limitCounter{farm: "web", reason: "strict-tcp", packets: 2 * len(invalidSegments)},
		attempt{as: 0, by: "tcp udp", to: service1, times: 2, pass: 2},
	}}, testCase{name: "strict-tcp-stateless-at-ingress", steps: steps{
		farms{"web": oneBackend("stateless", listen1, "b1", 0, `interfaces = "eth0"`) + `interface = "eth1"` + strict},
		filterSegments{as: 0, to: service1, dropped: invalidSegments,
			passed: slices.Concat(unrelatedSegments, openingSegments)},
		limitCounter{farm: "web", reason: "strict-tcp", packets: 2 * len(invalidSegments)},
		attempt{as: 0, by: "tcp udp", to: service1, times: 2, pass: 2},
	}}, testCase{name: "limits-of-stateless", steps: steps{
		farms{"web": oneBackend("stateless", listen1, "b1", 0) +
			"[limits]\nresets-per-client = { rate = '1/day', burst = 2 }\nban = '1h'"},
		attempt{as: 0, by: "tcp udp", to: service1, times: 1, pass: 1},
		resetConnections{as: 0, to: service1, times: 3},
		limitCounter{farm: "web", reason: "resets-per-client", packets: 2},
		attempt{as: 0, by: "tcp udp", to: service1, times: 1, pass: 0},
		limitCounter{farm: "web", reason: "banned", packets: 4, orMore: true},
		attempt{as: 1, by: "tcp udp", to: service1, times: 1, pass: 1},
	}}, testCase{name: "exempt-clients-have-no-limits", steps: steps{ // and allowed ones have: they are only admitted
		farms{"web": farmWithLimits("snat", `new-per-client = { rate = "1/day", burst = 6 }`,
			"[access]", `deny = "any"`,
			"exempt = ['198.51.100.101', '2001:db8:c:101::/64']",
			"allow = ['198.51.100.102', '2001:db8:c:102::/64']")},
		attempt{as: 1, by: "tcp udp", to: service1, times: 8, pass: 8},
		attempt{as: 2, by: "tcp", to: service1, times: 6, pass: 6},
		attempt{as: 2, by: "tcp udp", to: service1, times: 1, pass: 0},
		attempt{as: 3, by: "tcp udp", to: service1, times: 1, pass: 0},
		limitCounter{farm: "web", reason: "new-per-client", packets: 4},
	}}, testCase{name: "allowed-clients-have-limits-beside-exempt-ones", steps: steps{
		farms{"web": farmWithLimits("snat", "connections-per-client = 3", "[access]", `deny = "any"`,
			"exempt = ['198.51.100.101', '2001:db8:c:101::/64']",
			"allow = ['198.51.100.102', '2001:db8:c:102::/64']")},
		attempt{as: 2, by: "tcp", to: service1, times: 8, pass: 3, keep: true},
		attempt{as: 1, by: "tcp", to: service1, times: 8, pass: 8, keep: true},
	}}, testCase{name: "allowed-clients-have-no-limits", steps: steps{
		farms{"web": farmWithLimits("dnat", "new-per-client = { rate = '1/day', burst = 1 }",
			"resets-per-client = { rate = '1/day', burst = 1 }",
			"connections-per-client = 1", "new = { rate = '1/day', burst = 1 }", "connections = 1", "strict-tcp = true",
			"ban = '1h'",
			"[access]", "allow = ['198.51.100.101', '2001:db8:c:101::/64']")},
		attempt{as: 1, by: "tcp udp", to: service1, times: 3, pass: 3, keep: true},
		resetConnections{as: 1, to: service1, times: 3},
		filterSegments{as: 1, to: service1,
			passed: slices.Concat([]segment{invalidSegments[6]}, unrelatedSegments[:1], openingSegments)},
		attempt{as: 0, by: "tcp", to: "192.0.2.1:80", times: 2, pass: 1},
		echo{},
		ban{"web", "198.51.100.101"},
		attempt{as: 1, by: "tcp", to: "192.0.2.1:80", times: 3, pass: 3},
	}})
	for _, a := range dsrTopologies {
		if !a.lab.OneArmed {
			all = append(all, dsrLimits(a))
		}
	}
	return all
}

// bannedClientCloses: the open connections of a banned client stall. If the client closes them, they count no more, so
// that it is served after the ban.
func bannedClientCloses(mode, verdict string) testCase {
	web := farmWithLimits(mode, "connections-per-client = 3", `ban = "1h"`, "verdict = '"+verdict+"'",
		"strict-tcp = true")
	if mode == "local" {
		web, _, _ = strings.Cut(web, "[backends")
		web += "[limits]\nconnections-per-client = 3\nban = '1h'\nverdict = '" + verdict + "'\n"
	}
	refused := verdict == "reject"
	pardon := steps{unban{"web", "198.51.100.100"}, unban{"web", "2001:db8:c:100::1"}}
	return testCase{name: "banned-client-closes-" + mode + "-" + verdict, steps: steps{
		farms{"web": web},
		attempt{as: 0, by: "tcp", to: service1, times: 4, pass: 3, refused: refused, keep: true},
		stalled{0, 6}, pardon, answeredLate{6},
		attempt{as: 0, by: "tcp", to: service1, times: 1, pass: 0, refused: refused}, // it is banned again
		closeHeld{6},
		eventually{noneEstablished{}},
		attempt{as: 0, by: "tcp udp", to: service1, times: 1, pass: 0, refused: refused},
		pardon,
		eventually{noneEstablished{ended: true}},
		attempt{as: 0, by: "tcp", to: service1, times: 3, pass: 3, keep: true},
	}}
}

// farmsWithMemory have limits that remember clients.
func farmsWithMemory(backend string, burst int) farms {
	return farms{
		"web": oneBackend("dnat", listen1, backend, 0) +
			fmt.Sprintf("[limits]\nnew-per-client = { rate = '1/day', burst = %d }\nban = '1h'", burst),
		"slow": oneBackend("dnat", `"192.0.2.3:80", "[2001:db8::3]:80"`, backend, 0) +
			"[limits]\nconnections-per-client = 3",
	}
}

// dsrLimits: limits that need no connection tracking work at ingress, too.
func dsrLimits(a dsrTopology) testCase {
	limits := "\n[limits]\nresets-per-client = { rate = '1/day', burst = 2 }\nban = '1h'\n"
	return testCase{name: "limits-of-dsr-" + a.name, lab: a.lab, steps: steps{
		farms{"web": strings.Split(a.farm(listen1), "[backends.b2]")[0] + "\n[limits]\nstrict-tcp = true\n"},
		filterSegments{as: 0, to: service1, dropped: invalidSegments,
			passed: slices.Concat(unrelatedSegments, openingSegments)},
		limitCounter{farm: "web", reason: "strict-tcp", packets: 2 * len(invalidSegments)},
		farms{"web": a.farm(listen1) + limits},
		attempt{as: 0, by: "tcp udp", to: service1, times: 1, pass: 1},
		resetConnections{as: 0, to: service1, times: 3},
		limitCounter{farm: "web", reason: "resets-per-client", packets: 2},
		attempt{as: 0, by: "tcp udp", to: service1, times: 1, pass: 0},
		limitCounter{farm: "web", reason: "banned", packets: 4, orMore: true},
		attempt{as: 1, by: "tcp udp", to: service1, times: 1, pass: 1},
		farms{"web": a.farm(listen1) + limits + "verdict = 'reject'"},
		resetConnections{as: 2, to: service1, times: 3},
		limitCounter{farm: "web", reason: "resets-per-client", packets: 4},
		attempt{as: 2, by: "tcp udp", to: service1, times: 1, pass: 0, refused: true},
	}}
}
