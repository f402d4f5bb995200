package packettest

import (
	"slices"
	"testing"

	"farmc/cmd/internal/netlab"
)

// TestSynproxy: the kernel answers SYNs with cookies. A client that proves its address reaches a backend, with window
// scaling, timestamps and selective acknowledgements; forged SYNs and ACKs reach no backend, and are not tracked.
func TestSynproxy(t *testing.T) {
	t.Parallel()
	runCases(t, slices.Concat(synproxyCases("snat", "balancer"), synproxyCases("dnat", "")))
}

const withSynproxy = "\n[limits]\nsynproxy = true\n"

func synproxyCases(mode, sees string) []testCase {
	web := oneBackend(mode, listen1, "b1", 0)
	named := func(name string, lab netlab.Options, all ...step) testCase {
		return testCase{name: mode + "-" + name, lab: lab, steps: append(steps{receiveOffload}, all...)}
	}
	loose := func(value string) step {
		return runOn{"balancer", "sysctl -q -w net.netfilter.nf_conntrack_tcp_loose=" + value}
	}
	serves := func(to string) step {
		return steps{
			request{by: "tcp udp", to: to, shares: shares{"b1:80": 1}, times: 10, sees: sees},
			transfer{by: "tcp", to: to, size: 1_000_000},
			transfer{by: "udp", to: to, size: 4000},
		}
	}
	ownSource := map[string]string{"snat": "balancer", "dnat": "192.0.2.1 2001:db8::1"}[mode]
	marked := map[string]uint32{"b1": 0x5a001010}
	return []testCase{
		named("honest-clients", netlab.Options{},
			farms{"web": web + withSynproxy},
			serves(service1), cookies{"web", 22},
			oneHandshake{service1},
			hold{by: "tcp", to: service1}, keptOptions{7}, cookies{"web", 64},
			farms{"web": web + withSynproxy + "synproxy-wscale = 9\nsynproxy-mss = 1000"}, echo{}, closeAll,
			hold{by: "tcp", to: service1}, keptOptions{9}),
		named("forged-segments", netlab.Options{},
			farms{"web": web + withSynproxy},
			forgedSegments{service1, flagSYN, true}, cookies{"web", 200},
			forgedSegments{service1, flagACK, false},
			loose("0"), forgedSegments{service1, flagACK, false}, serves(service1),
			loose("1"), serves(service1)),
		named("without-sysctls-of-cookies", netlab.Options{},
			runOn{"balancer", "sysctl -q -w net.ipv4.tcp_syncookies=0 net.ipv4.tcp_timestamps=0"},
			farms{"web": web + withSynproxy}, serves(service1), hold{by: "tcp", to: service1}, keptOptions{7}),
		named("limits-count-proven-clients", netlab.Options{},
			farms{"web": web + withSynproxy + "new-per-client = { rate = '1/day', burst = 2 }\nban = '1h'\n" +
				"[access]\ndeny = ['198.51.100.251', '2001:db8:c:197::/64']\n" +
				"exempt = ['198.51.100.250', '2001:db8:c:196::/64']"},
			forgedSegments{service1, flagSYN, true}, // also from the clients below
			forgedSegments{service1, flagACK, false},
			limitCounter{farm: "web", reason: "new-per-client", packets: 0},
			attempt{as: 1, by: "tcp", to: service1, times: 3, pass: 2},
			limitCounter{farm: "web", reason: "new-per-client", packets: 2},
			attempt{as: 1, by: "tcp udp", to: service1, times: 1, pass: 0}, // banned
			limitCounter{farm: "web", reason: "banned", packets: 4, orMore: true},
			attempt{as: 2, by: "udp", to: service1, times: 3, pass: 2},
			attempt{as: 151, by: "tcp", to: service1, times: 1, pass: 0},
			attempt{as: 150, by: "tcp", to: service1, times: 4, pass: 4}),
		named("connections-of-the-farm", netlab.Options{},
			farms{"web": web + withSynproxy + "connections = 4\nstrict-tcp = true"},
			attempt{as: 0, by: "tcp", to: service1, times: 2, pass: 2, keep: true},
			attempt{as: 1, by: "tcp", to: service1, times: 1, pass: 0},
			limitCounter{farm: "web", reason: "connections", packets: 2},
			closeHeld{4},
			eventually{attempt{as: 1, by: "tcp", to: service1, times: 1, pass: 1}},
			forgedSegments{service1, flagFIN | flagACK, false},
			limitCounter{farm: "web", reason: "strict-tcp", packets: 200}),
		named("interfaces-and-log", netlab.Options{},
			farms{"web": oneBackend(mode, listen1, "b1", 0, `interfaces = "eth0"`, unlimitedLog(`"input", "forward"`)) +
				withSynproxy},
			logToGroup,
			logged{requests(3, "", service1, "b1", sees), sumOf(logLines(3, "web input", "client", service1),
				logLines(3, "web forward b1", "client", "10.2.0.11:80 [fd00:2::11]:80"))},
			logged{steps{forgedSegments{service1, flagACK, false}}, nil},
			serves(service1),
			request{from: "balancer", by: "tcp", to: service1, shares: shares{"balancer:80": 1},
				sees: "192.0.2.1 2001:db8::1"},
			request{from: "b3", by: "tcp", to: service1, shares: shares{"balancer:80": 1}}),
		named("clients-of-this-machine", netlab.Options{},
			farms{"web": web + withSynproxy},
			request{from: "balancer", by: "tcp udp", to: service1, shares: shares{"b1:80": 1}, sees: ownSource},
			cookies{"web", 0},
			farms{"web": oneBackend(mode, listen1, "b1", 0, remoteOnly) + withSynproxy},
			request{from: "balancer", by: "tcp", to: service1, shares: shares{"balancer:80": 1},
				sees: "192.0.2.1 2001:db8::1"},
			serves(service1)),
		named("marks", netlab.Options{},
			markTrace,
			farms{"web": oneBackend(mode, listen1, "b1", 0, `mark = "0x10/0xff"`, remoteOnly) +
				`mark = "0x1000/0xf000"` + withSynproxy},
			requests(3, "", service1, "b1", sees),
			seenMarks{"postrouting", service1, marked}),
		// the SYN of a known client is not tracked
		named("clients-renewed-by-packet", netlab.Options{},
			farms{"web": web + "[persistence]\nrenew = 'packet'\n" + withSynproxy},
			request{by: "tcp udp", as: "198.51.100.5 2001:db8:c::5", to: service1, shares: shares{"b1:80": 1}, times: 4,
				sees: sees}),
		named("every-kind-of-frontend", netlab.Options{},
			farms{"web": oneBackend(mode, `"*:80/tcp,udp"`, "b1", 0) + withSynproxy,
				"range": oneBackend(mode, `"192.0.2.2:8000-8099", "[2001:db8::2]:8000-8099"`, "b1", 0) + withSynproxy,
				"all":   oneBackend(mode, `"192.0.2.3/all", "2001:db8::3/all"`, "b1", 0) + withSynproxy,
				"plain": oneBackend(mode, `"192.0.2.3:443", "[2001:db8::3]:443"`, "b2", 0)},
			serves(service1),
			request{by: "tcp", to: "192.0.2.2:8050 [2001:db8::2]:8050", shares: shares{"b1:8050": 1}, sees: sees},
			request{by: "tcp udp", to: service3, shares: shares{"b1:80": 1}, sees: sees},
			request{by: "tcp", to: "192.0.2.3:443 [2001:db8::3]:443", shares: shares{"b2:443": 1}, sees: sees},
			forgedSegments{"192.0.2.2:8050 [2001:db8::2]:8050", flagSYN, true},
			cookies{"all", 4 * 2}),
		named("reloads-keep-connections", netlab.Options{},
			farms{"web": web + withSynproxy}, hold{by: "tcp", to: service1},
			farms{"web": web + withSynproxy + "new = '10000/second'"}, echo{},
			farms{"web": web + "state = 'drain'" + withSynproxy}, echo{},
			farms{"web": oneBackend(mode, listen1, "b2", 0) + withSynproxy}, echo{},
			request{by: "tcp", to: service1, shares: shares{"b2:80": 1}, sees: sees},
			farms{"web": web, "other": oneBackend(mode, `"192.0.2.2:443"`, "b1", 0) + withSynproxy}, echo{},
			serves(service1)),
		named("backends-that-refuse", netlab.Options{},
			farms{"web": oneBackend(mode, listen1, "b1", 9999) + withSynproxy}, refusedLater{service1},
			farms{"web": web + "state = 'down'" + withSynproxy}, refused{by: "tcp", to: service1}),
		named("persistence", netlab.Options{},
			farms{"web": web + "[backends.b2]\naddress = ['10.2.0.12', 'fd00:2::12']\n" +
				"[persistence]\non = 'source-address'" + withSynproxy},
			keepBackend{name: "known", to: service1, sees: sees},
			keepBackend{name: "known", to: service1, sees: sees}),
		named("address-not-of-this-machine", netlab.Options{NoVIPs: true},
			addDefaultRoutes, farms{"web": web + withSynproxy}, serves(service1), cookies{"web", 0}),
	}
}
