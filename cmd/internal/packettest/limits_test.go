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
	play(t, limitScenes())
}

// limited is a farm of b1 with limits, over several doors of both families.
func limited(mode string, limits ...string) string {
	return one(mode, `"192.0.2.1:80,443/tcp,udp", "[2001:db8::1]:80,443/tcp,udp"`, "b1", 0) + "[limits]\n" + strings.Join(limits, "\n")
}

const both443 = "192.0.2.1:443 [2001:db8::1]:443"

// limitScenes: what a limit lets pass passes, the next packet doesn't, and the count says so. A rate that is not to
// give anything more while a test runs is one of days.
func limitScenes() []scene {
	all := []scene{
		{name: "new-for-the-farm", steps: steps{
			farms{"web": limited("snat", `new = { rate = "1/day", burst = 6 }`), "mail": one("snat", `"192.0.2.2:80"`, "b2", 0)},
			knock{as: 0, by: "tcp", to: both, times: 2, pass: 2},     // of each family
			knock{as: 1, by: "udp", to: both443, times: 1, pass: 1},  // another client, another door
			knock{as: 2, by: "tcp udp", to: both, times: 1, pass: 0}, // and another
			heldBack{farm: "web", reason: "new", packets: 4},
			knock{as: 2, by: "tcp", to: "192.0.2.2:80", times: 8, pass: 8},
		}},
		{name: "connections-per-client", steps: steps{
			farms{"web": limited("dnat", `connections-per-client = 3`)},
			knock{as: 0, by: "tcp", to: "192.0.2.1:80", times: 3, pass: 3, keep: true},
			knock{as: 0, by: "tcp udp", to: "192.0.2.1:80 192.0.2.1:443", times: 1, pass: 0},
			knock{as: 1, by: "tcp", to: "192.0.2.1:443", times: 3, pass: 3, keep: true},
			knock{as: 0, by: "tcp", to: "[2001:db8::1]:80", times: 3, pass: 3, keep: true},
			knock{as: 0, by: "tcp", to: "[2001:db8::1]:443", times: 1, pass: 0, neighbour: true},
			knock{as: 1, by: "tcp", to: "[2001:db8::1]:443", times: 1, pass: 1},
			heldBack{farm: "web", reason: "connections-per-client", packets: 5},
			echo{},
			closing{1}, // what is closed doesn't count
			eventually{knock{as: 0, by: "tcp", to: "192.0.2.1:80", times: 1, pass: 1, keep: true}},
			knock{as: 0, by: "tcp", to: "192.0.2.1:80", times: 1, pass: 0},
			echo{},
		}},
		{name: "connections-of-the-farm", steps: steps{
			farms{"web": limited("snat", `connections = 4`)},
			knock{as: 0, by: "tcp", to: both, times: 1, pass: 1, keep: true},
			knock{as: 1, by: "tcp", to: both443, times: 1, pass: 1, keep: true},
			knock{as: 2, by: "tcp udp", to: both, times: 1, pass: 0},
			heldBack{farm: "web", reason: "connections", packets: 4},
			closing{1},
			eventually{knock{as: 2, by: "tcp", to: both443, times: 1, pass: 1, keep: true, only: 1}},
			echo{},
		}},
		{name: "later-packets-of-a-datagram-conversation-are-nothing-new", steps: steps{
			farms{"web": limited("snat", `new-per-client = { rate = "1/day", burst = 1 }`)},
			deed(func(s *stage) error { return s.send(clientAddress(0, false), "192.0.2.1:9", 1) }),
			knock{as: 0, by: "udp", to: both, times: 1, pass: 1, say: 20},
			heldBack{farm: "web", reason: "new-per-client", packets: 0},
		}},
		{name: "resets-per-client", steps: steps{
			farms{"web": limited("dnat", `resets-per-client = { rate = "1/day", burst = 3 }`, `ban = "1h"`)},
			resets{as: 0, to: both, times: 3},
			knock{as: 0, by: "tcp", to: both, times: 1, pass: 1},
			heldBack{farm: "web", reason: "resets-per-client", packets: 0},
			resets{as: 0, to: both, times: 1},
			heldBack{farm: "web", reason: "resets-per-client", packets: 2},
			knock{as: 0, by: "tcp udp", to: both, times: 1, pass: 0},
			knock{as: 1, by: "tcp udp", to: both, times: 1, pass: 1},
			heldBack{farm: "web", reason: "banned", packets: 4, orMore: true},
		}},
		{name: "ban-ends-by-itself", steps: steps{
			farms{"web": limited("snat", `new-per-client = { rate = "1/day", burst = 3 }`, `ban = "1h"`),
				"mail": one("snat", `"192.0.2.2:80", "[2001:db8::2]:80"`, "b2", 0),
				"soon": one("snat", `"192.0.2.3:80/tcp,udp", "[2001:db8::3]:80/tcp,udp"`, "b1", 0) + "[limits]\nnew-per-client = { rate = '20/second', burst = 3 }\nban = '1s'"},
			knock{as: 1, by: "tcp", to: both, times: 1, pass: 1, keep: true},
			knock{as: 0, by: "tcp", to: both, times: 1, pass: 1, keep: true},
			provoke{as: 0, to: both, times: 20},
			knock{as: 0, by: "tcp", to: both, times: 1, pass: 0},
			knock{as: 0, by: "udp", to: both443, times: 1, pass: 0},
			stalls{2, 4}, // of who is banned
			knock{as: 0, by: "tcp", to: "192.0.2.2:80 [2001:db8::2]:80", times: 1, pass: 1},
			knock{as: 1, by: "tcp udp", to: both, times: 1, pass: 1},
			closing{4},
			knock{as: 0, by: "tcp", to: third, times: 1, pass: 1, keep: true},
			provoke{as: 0, to: third, times: 200},
			heldBack{farm: "soon", reason: "banned", packets: 20, orMore: true},
			eventually{knock{as: 0, by: "tcp udp", to: third, times: 1, pass: 1}},
			echo{},
		}},
		{name: "verdict-reject", steps: steps{
			farms{"web": limited("snat", `new-per-client = { rate = "1/day", burst = 2 }`, `verdict = "reject"`, `ban = "1h"`)},
			knock{as: 0, by: "tcp", to: both, times: 2, pass: 2},
			knock{as: 0, by: "tcp udp", to: both, times: 1, pass: 0, refused: true},
			knock{as: 0, by: "tcp udp", to: both443, times: 1, pass: 0, refused: true}, // being banned by now
			heldBack{farm: "web", reason: "new-per-client", packets: 2},
			heldBack{farm: "web", reason: "banned", packets: 6, orMore: true},
		}},
		{name: "verdict-log", steps: steps{
			farms{"web": limited("snat", `new-per-client = { rate = "1/day", burst = 2 }`, `connections = 1`, `verdict = "log"`, `ban = "1h"`)},
			knock{as: 0, by: "tcp", to: both, times: 2, pass: 2, keep: true},
			knock{as: 0, by: "tcp", to: both, times: 1, pass: 1},
			knock{as: 0, by: "tcp", to: both, times: 1, pass: 1},
			heldBack{farm: "web", reason: "new-per-client", packets: 4},
			heldBack{farm: "web", reason: "connections", packets: 7},
			heldBack{farm: "web", reason: "banned", packets: 2, orMore: true},
			echo{},
		}},
		{name: "full-set", steps: steps{
			farms{"web": limited("snat", `new-per-client = { rate = "1/day", burst = 3 }`, "clients = 2", `ban = "1h"`)},
			knock{as: 0, by: "tcp", to: both, times: 1, pass: 1},
			knock{as: 1, by: "tcp", to: both, times: 1, pass: 1},
			knock{as: 2, by: "tcp", to: both, times: 4, pass: 3}, // there is no room for him: he is limited
			heldBack{farm: "web", reason: "new-per-client", packets: 2},
			knock{as: 3, by: "udp", to: both443, times: 4, pass: 3}, // and others are not locked out for it
			heldBack{farm: "web", reason: "new-per-client", packets: 4},
			knock{as: 0, by: "tcp", to: both, times: 2, pass: 2},
			heldBack{farm: "web", reason: "banned", packets: 0},
			knock{as: 0, by: "tcp", to: both, times: 1, pass: 0}, // by his own count
			heldBack{farm: "web", reason: "new-per-client", packets: 6},
			knock{as: 0, by: "tcp", to: both, times: 1, pass: 0},
			heldBack{farm: "web", reason: "banned", packets: 2, orMore: true},
			knock{as: 2, by: "tcp", to: both, times: 1, pass: 0}, // who can't be told from others isn't banned
			heldBack{farm: "web", reason: "banned", packets: 2, orMore: true},
		}},
		{name: "full-set-of-connections", steps: steps{
			farms{"web": limited("dnat", "connections-per-client = 2", "clients = 1")},
			knock{as: 0, by: "tcp", to: both, times: 1, pass: 1, keep: true},
			knock{as: 1, by: "tcp", to: both, times: 2, pass: 2, keep: true},
			knock{as: 1, by: "tcp", to: both443, times: 1, pass: 0},
			knock{as: 2, by: "tcp", to: both443, times: 2, pass: 2, keep: true},
			heldBack{farm: "web", reason: "connections-per-client", packets: 2},
			echo{},
		}},
		{name: "denied-before-limits", steps: steps{
			farms{"web": limited("snat", "new-per-client = { rate = '1/day', burst = 1 }", "[access]", "deny = ['198.51.100.100', '2001:db8:c:100::1']")},
			knock{as: 0, by: "tcp", to: both, times: 3, pass: 0},
			heldBack{farm: "web", reason: "denied", packets: 6},
			heldBack{farm: "web", reason: "new-per-client", packets: 0},
			knock{as: 1, by: "tcp", to: both, times: 2, pass: 1},
			heldBack{farm: "web", reason: "denied", packets: 6},
		}},
		{name: "ban-by-hand", steps: steps{
			farms{"web": limited("snat", `ban = "1h"`)},
			knock{as: 0, by: "tcp", to: both, times: 2, pass: 2, keep: true},
			knock{as: 1, by: "tcp", to: both443, times: 1, pass: 1, keep: true},
			served{farm: "web", given: map[string]int{"b1": 6}, open: map[string]int{"b1": 6}},
			bans{"web", "198.51.100.100"}, bans{"web", "2001:db8:c:100::77"},
			shutOut{"web", []string{"198.51.100.100", "2001:db8:c:100::/64"}, time.Hour},
			knock{as: 0, by: "tcp udp", to: both + " " + both443, times: 1, pass: 0},
			stalls{0, 4},
			knock{as: 1, by: "tcp udp", to: both, times: 1, pass: 1},
			heldBack{farm: "web", reason: "banned", packets: 8, orMore: true},
			unbans{"web", "198.51.100.100"}, unbans{"web", "2001:db8:c:100::/64"},
			shutOut{"web", nil, 0},
			knock{as: 0, by: "tcp udp", to: both + " " + both443, times: 1, pass: 1},
		}},
		{name: "limits-outlive-loads", steps: steps{
			remembering("b1", 5),
			knock{as: 0, by: "tcp", to: third, times: 3, pass: 3, keep: true},
			knock{as: 0, by: "tcp", to: third, times: 1, pass: 0},
			knock{as: 1, by: "tcp", to: both, times: 6, pass: 5}, // and is banned for it
			knock{as: 1, by: "tcp", to: both, times: 1, pass: 0},
			knock{as: 2, by: "udp", to: both, times: 4, pass: 4},
			heldBack{farm: "slow", reason: "connections-per-client", packets: 2},
			heldBack{farm: "web", reason: "new-per-client", packets: 2},
			heldBack{farm: "web", reason: "banned", packets: 2, orMore: true},
			remembering("b2", 5), // another backend
			heldBack{farm: "slow", reason: "connections-per-client", packets: 2},
			heldBack{farm: "web", reason: "new-per-client", packets: 2},
			heldBack{farm: "web", reason: "banned", packets: 2, orMore: true},
			knock{as: 1, by: "tcp", to: both, times: 1, pass: 0}, // still banned
			heldBack{farm: "web", reason: "banned", packets: 4, orMore: true},
			knock{as: 2, by: "udp", to: both, times: 2, pass: 1}, // his bucket is as empty as it was
			heldBack{farm: "web", reason: "new-per-client", packets: 4},
			knock{as: 0, by: "tcp", to: third, times: 1, pass: 0}, // he has three open
			heldBack{farm: "slow", reason: "connections-per-client", packets: 4},
			echo{},
			remembering("b2", 6), // another limit, and the same bans
			knock{as: 1, by: "tcp", to: both, times: 1, pass: 0},
			heldBack{farm: "web", reason: "banned", packets: 6, orMore: true},
			heldBack{farm: "web", reason: "new-per-client", packets: 4},
			knock{as: 3, by: "udp", to: both, times: 7, pass: 6},
		}},
		{name: "limits-of-a-range-but-not-of-the-port-in-it", steps: steps{
			farms{"range": one("snat", `"192.0.2.1:1-1000"`, "b1", 0) + "[limits]\nnew-per-client = { rate = '1/day', burst = 1 }\nstrict-tcp = true\nban = '1h'",
				"web": one("dnat", `"192.0.2.1:80"`, "b2", 0)},
			knock{as: 0, by: "tcp", to: "192.0.2.1:443", times: 2, pass: 1},
			heldBack{farm: "range", reason: "new-per-client", packets: 1},
			knock{as: 0, by: "tcp", to: "192.0.2.1:443", times: 1, pass: 0},
			heldBack{farm: "range", reason: "banned", packets: 1, orMore: true},
			knock{as: 0, by: "tcp", to: "192.0.2.1:80", times: 3, pass: 3},
		}},
		{name: "limits-of-every-address", steps: steps{
			farms{"web": one("snat", `"*:80"`, "b1", 0) + "[limits]\nnew-per-client = { rate = '1/day', burst = 2 }\nban = '1h'"},
			knock{as: 0, by: "tcp", to: "192.0.2.1:80 192.0.2.2:80 [2001:db8::1]:80 [2001:db8::2]:80", times: 1, pass: 1},
			knock{as: 0, by: "tcp", to: "192.0.2.3:80 [2001:db8::3]:80", times: 1, pass: 0},
			heldBack{farm: "web", reason: "new-per-client", packets: 2},
			knock{as: 0, by: "tcp", to: "192.0.2.1:80 [2001:db8::1]:80", times: 1, pass: 0},
			heldBack{farm: "web", reason: "banned", packets: 2, orMore: true},
			ask{from: "balancer", by: "tcp", to: both, shares: shares{"balancer:80": 1}, sees: "192.0.2.1 2001:db8::1"},
		}},
		{name: "limits-of-a-whole-address", steps: steps{
			farms{"web": one("dnat", `"192.0.2.1", "2001:db8::1"`, "b1", 0) + "[limits]\nnew-per-client = { rate = '1/day', burst = 2 }\nban = '1h'"},
			knock{as: 0, by: "tcp", to: both + " " + both443, times: 1, pass: 1},
			knock{as: 0, by: "udp", to: both, times: 1, pass: 0},
			heldBack{farm: "web", reason: "new-per-client", packets: 2},
		}},
		{name: "limits-inside-interfaces", steps: steps{
			farms{"web": limited("snat", `new-per-client = { rate = "1/day", burst = 1 }`, `ban = "1h"`)}.inside("web", "eth1"),
			knock{as: 0, by: "tcp", to: both, times: 2, pass: 2}, // this machine's own answer
			farms{"web": limited("snat", `new-per-client = { rate = "1/day", burst = 1 }`, `ban = "1h"`)}.inside("web", "eth0"),
			knock{as: 0, by: "tcp", to: both, times: 2, pass: 1},
			heldBack{farm: "web", reason: "new-per-client", packets: 2},
		}},
		{name: "limits-of-mode-local", steps: steps{
			farms{"proxy": "mode = 'local'\nlisten = [" + listenBoth + "]\n[limits]\nconnections-per-client = 2\nban = '1h'"},
			knock{as: 0, by: "tcp", to: both, times: 2, pass: 2, keep: true},
			knock{as: 0, by: "tcp", to: both, times: 1, pass: 0},
			heldBack{farm: "proxy", reason: "connections-per-client", packets: 2},
			knock{as: 0, by: "tcp", to: both, times: 1, pass: 0},
			heldBack{farm: "proxy", reason: "banned", packets: 2, orMore: true},
			farms{"proxy": "mode = 'local'\nlisten = [" + listenBoth + "]\n[limits]\nnew-per-client = { rate = '1/day', burst = 3 }"},
			knock{as: 1, by: "tcp", to: both, times: 3, pass: 3},
			knock{as: 1, by: "udp", to: both, times: 1, pass: 0},
			heldBack{farm: "proxy", reason: "new-per-client", packets: 2},
		}},
	}
	for _, mode := range []string{"snat", "dnat"} {
		all = append(all, scene{name: "new-per-client-" + mode, steps: steps{
			farms{"web": limited(mode, `new-per-client = { rate = "1/day", burst = 5 }`)},
			knock{as: 0, by: "tcp", to: both, times: 3, pass: 3},
			knock{as: 0, by: "udp", to: both, times: 1, pass: 1},
			knock{as: 0, by: "tcp", to: both443, times: 2, pass: 1},
			knock{as: 0, by: "udp", to: both443, times: 1, pass: 0},
			heldBack{farm: "web", reason: "new-per-client", packets: 4},
			knock{as: 0, by: "tcp", to: "[2001:db8::1]:80", times: 1, pass: 0, neighbour: true}, // of the same /64
			knock{as: 1, by: "tcp", to: both, times: 5, pass: 5},
			heldBack{farm: "web", reason: "new-per-client", packets: 5},
		}})
	}
	strict := "\n[limits]\nstrict-tcp = true\n"
	all = append(all, scene{name: "strict-tcp", steps: steps{
		farms{"web": one("dnat", listenBoth, "b1", 0)},
		sift{as: 0, to: both, passed: []segment{bogusSegments[6], strandedSegments[0], openingSegments[0]}}, // as it is without
		farms{"web": one("dnat", listenBoth, "b1", 0) + strict},
		sift{as: 0, to: both, held: slices.Concat(bogusSegments, strandedSegments), passed: openingSegments},
		heldBack{farm: "web", reason: "strict-tcp", packets: 2 * (len(bogusSegments) + len(strandedSegments))},
		knock{as: 0, by: "tcp udp", to: both, times: 2, pass: 2},
		carry{by: "tcp", to: both, size: 300_000},
		hold{by: "tcp", to: both},
		echo{},
		heldBack{farm: "web", reason: "strict-tcp", packets: 2 * (len(bogusSegments) + len(strandedSegments))},
		farms{"web": one("dnat", listenBoth, "b1", 0) + strict + "verdict = 'log'"},
		sift{as: 1, to: both, passed: []segment{bogusSegments[6], strandedSegments[0], openingSegments[0]}},
	}}, scene{name: "strict-tcp-stateless", steps: steps{
		farms{"web": one("stateless", listenBoth, "b1", 0) + strict},
		sift{as: 0, to: both, held: bogusSegments, passed: slices.Concat(strandedSegments, openingSegments)},
		heldBack{farm: "web", reason: "strict-tcp", packets: 2 * len(bogusSegments)},
		knock{as: 0, by: "tcp udp", to: both, times: 2, pass: 2},
	}}, scene{name: "strict-tcp-stateless-at-ingress", steps: steps{
		farms{"web": one("stateless", listenBoth, "b1", 0, `interfaces = "eth0"`) + `interface = "eth1"` + strict},
		sift{as: 0, to: both, held: bogusSegments, passed: slices.Concat(strandedSegments, openingSegments)},
		heldBack{farm: "web", reason: "strict-tcp", packets: 2 * len(bogusSegments)},
		knock{as: 0, by: "tcp udp", to: both, times: 2, pass: 2},
	}}, scene{name: "limits-of-stateless", steps: steps{
		farms{"web": one("stateless", listenBoth, "b1", 0) + "[limits]\nresets-per-client = { rate = '1/day', burst = 2 }\nban = '1h'"},
		knock{as: 0, by: "tcp udp", to: both, times: 1, pass: 1},
		resets{as: 0, to: both, times: 3},
		heldBack{farm: "web", reason: "resets-per-client", packets: 2},
		knock{as: 0, by: "tcp udp", to: both, times: 1, pass: 0},
		heldBack{farm: "web", reason: "banned", packets: 4, orMore: true},
		knock{as: 1, by: "tcp udp", to: both, times: 1, pass: 1},
	}}, scene{name: "allowed-clients-have-no-limits", steps: steps{
		farms{"web": limited("dnat", "new-per-client = { rate = '1/day', burst = 1 }", "resets-per-client = { rate = '1/day', burst = 1 }",
			"connections-per-client = 1", "new = { rate = '1/day', burst = 1 }", "connections = 1", "strict-tcp = true", "ban = '1h'",
			"[access]", "allow = ['198.51.100.101', '2001:db8:c:101::/64']")},
		knock{as: 1, by: "tcp udp", to: both, times: 3, pass: 3, keep: true},
		resets{as: 1, to: both, times: 3},
		sift{as: 1, to: both, passed: slices.Concat([]segment{bogusSegments[6]}, strandedSegments[:1], openingSegments)},
		knock{as: 0, by: "tcp", to: "192.0.2.1:80", times: 2, pass: 1},
		echo{},
		bans{"web", "198.51.100.101"},
		knock{as: 1, by: "tcp", to: "192.0.2.1:80", times: 3, pass: 3},
	}})
	for _, a := range arms {
		if !a.lab.OneArmed {
			all = append(all, dsrLimits(a))
		}
	}
	return all
}

// remembering are farms with limits that have a memory.
func remembering(backend string, burst int) farms {
	return farms{
		"web":  one("dnat", listenBoth, backend, 0) + fmt.Sprintf("[limits]\nnew-per-client = { rate = '1/day', burst = %d }\nban = '1h'", burst),
		"slow": one("dnat", `"192.0.2.3:80", "[2001:db8::3]:80"`, backend, 0) + "[limits]\nconnections-per-client = 3",
	}
}

// dsrLimits: what needs no connection tracking holds at ingress, too.
func dsrLimits(a arm) scene {
	limits := "\n[limits]\nresets-per-client = { rate = '1/day', burst = 2 }\nban = '1h'\n"
	return scene{name: "limits-of-dsr-" + a.name, lab: a.lab, steps: steps{
		farms{"web": strings.Split(a.farm(listenBoth), "[backends.b2]")[0] + "\n[limits]\nstrict-tcp = true\n"},
		sift{as: 0, to: both, held: bogusSegments, passed: slices.Concat(strandedSegments, openingSegments)},
		heldBack{farm: "web", reason: "strict-tcp", packets: 2 * len(bogusSegments)},
		farms{"web": a.farm(listenBoth) + limits},
		knock{as: 0, by: "tcp udp", to: both, times: 1, pass: 1},
		resets{as: 0, to: both, times: 3},
		heldBack{farm: "web", reason: "resets-per-client", packets: 2},
		knock{as: 0, by: "tcp udp", to: both, times: 1, pass: 0},
		heldBack{farm: "web", reason: "banned", packets: 4, orMore: true},
		knock{as: 1, by: "tcp udp", to: both, times: 1, pass: 1},
		farms{"web": a.farm(listenBoth) + limits + "verdict = 'reject'"},
		resets{as: 2, to: both, times: 3},
		knock{as: 2, by: "tcp udp", to: both, times: 1, pass: 0, refused: true},
	}}
}
