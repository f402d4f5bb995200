package packettest

import (
	"strings"
	"testing"
)

// TestQueue: a program accepts or drops new connections. The kernel may lack queues. Then the test checks the error
// message.
func TestQueue(t *testing.T) {
	t.Parallel()
	if lacksQueues(t) {
		t.Skip("this kernel has no queues to programs; Debian's has")
	}
	runCases(t, []testCase{queueOf("snat", "balancer"), queueOf("dnat", ""), queueOfThisMachine, queueOfLocalClients,
		queueOfABackendHere, queueAfterFilters, queueOnce})
}

func queueOf(mode, sees string) testCase {
	serving := "10.2.0.11:80 [fd00:2::11]:80"
	return testCase{name: mode, steps: steps{
		farms{
			"web":   oneBackend(mode, listenAllKinds+`, "*:53/tcp,udp"`, "b1", 0, `queue = "0-3"`, remoteOnly),
			"quiet": farmWithoutLog(mode),
		},
		requests(3, "", service1+" "+service1At8050, "b1", sees), // no program listens
		listenOnQueues(4),
		queued{requests(3, "", service1, "b1", sees), queuedPackets(3, "client", serving)},
		queued{requests(3, "", service1At8050+" "+service2At443+" "+service9At53, "b1", sees),
			queuedPackets(3, "client",
				"10.2.0.11:8050 [fd00:2::11]:8050 10.2.0.11:443 [fd00:2::11]:443 10.2.0.11:53 [fd00:2::11]:53")},
		queued{requests(3, "", otherServices, "b2", sees), nil},
		queued{hold{by: "tcp udp", to: service1}, queuedPackets(20, "client", serving)},
		queued{steps{echo{}, pipeScript, echo{}}, nil},
		queued{requests(3, "balancer", service1, "balancer", "192.0.2.1 2001:db8::1"), nil},
		queued{dropping{noAnswer{"udp", service1}}, sumOf(queuedDatagrams("client", serving))},
		stopListening,
		requests(3, "", service1, "b1", sees),
		farms{"web": oneBackend(mode, listenAllKinds, "b1", 0, `queue = 2`)},
		listenOnQueues(2),
		queued{requests(3, "", service1, "b1", sees), nil}, // no program listens to queue 2
		stopListening,
		listenOnQueues(3),
		queued{requests(3, "", service1, "b1", sees), queuedPackets(3, "client", serving)},
	}}
}

var queueOfThisMachine = testCase{name: "local", steps: steps{
	farms{
		"proxy":  localFarm(listenAllKinds+`, "*:53/tcp,udp"`, `queue = "0-1"`),
		"inside": localFarm(`"192.0.2.4/all", "2001:db8::4/all"`, `interfaces = "eth1"`, `queue = 0`),
		"web":    farmWithoutLog("snat"),
	},
	listenOnQueues(2),
	queued{requests(3, "", service1+" "+service1At8050+" "+service2At443+" "+service9At53, "balancer", ""),
		queuedPackets(3, "client", service1+" "+service1At8050+" "+service2At443+" "+service9At53)},
	queued{requests(3, "", otherServices, "b2", "balancer"), nil},
	queued{requests(3, "", "192.0.2.4:80 [2001:db8::4]:80", "balancer", ""), nil},
	queued{requests(3, "b3", "192.0.2.4:80 [2001:db8::4]:80", "balancer", ""),
		queuedPackets(3, "b3", "192.0.2.4:80 [2001:db8::4]:80")},
	queued{requests(3, "balancer", service1, "balancer", "192.0.2.1 2001:db8::1"), nil},
	queued{hold{by: "tcp udp", to: service1}, queuedPackets(20, "client", service1)},
	queued{steps{echo{}, pipeScript, echo{}}, nil},
	queued{pings{to: "192.0.2.2 2001:db8::2", shares: shares{"balancer": 1}},
		map[string]int{"1 client > 192.0.2.2": 4, "58 client > 2001:db8::2": 4}},
	queued{dropping{noAnswer{"udp", service1}}, queuedDatagrams("client", service1)},
	stopListening,
	requests(3, "", service1, "balancer", ""),
}}

var queueOfLocalClients = testCase{name: "local-clients", steps: steps{
	farms{
		"web":     oneBackend("snat", listen1, "b1", 0, "local-clients = true", "queue = 0"),
		"outside": oneBackend("snat", `"192.0.2.2/all", "2001:db8::2/all"`, "b1", 0, "queue = 0", remoteOnly),
		"here": "local-clients = true\nqueue = 0\n" + strings.ReplaceAll(farmWithLocalBackend("dnat"), ":80/",
			":443/"),
	},
	listenOnQueues(1),
	queued{requests(3, "balancer", "192.0.2.1:80", "b1", "balancer"), queuedPackets(3, "192.0.2.1", "10.2.0.11:80")},
	queued{requests(3, "balancer", "[2001:db8::1]:80", "b1", "balancer"),
		queuedPackets(3, "2001:db8::1", "[fd00:2::11]:80")},
	queued{requests(3, "balancer", service2, "balancer", "192.0.2.2 2001:db8::2"), nil},
	queued{request{from: "balancer", by: "tcp udp", to: "192.0.2.1:443", shares: shares{"balancer:8081": 1}, times: 3,
		sees: "192.0.2.1"}, queuedPackets(3, "192.0.2.1", "10.2.0.1:8081")},
}}

var queueOfABackendHere = testCase{name: "local-backend", steps: steps{
	farms{"web": "queue = 0\n" + farmWithLocalBackend("snat")},
	listenOnQueues(1),
	queued{request{by: "tcp udp", to: service1, shares: shares{"balancer:8081": 1}, times: 3},
		queuedPackets(3, "client", "10.2.0.1:8081 [fd00:2::1]:8081")},
	queued{dropping{noAnswer{"udp", service1}}, queuedDatagrams("client", "10.2.0.1:8081 [fd00:2::1]:8081")},
}}

// queueAfterFilters: packets that access, a limit or another firewall drops do not reach the queue, and packets that
// the program drops are not logged as forwarded.
var queueAfterFilters = testCase{name: "after-filters", steps: steps{
	nftScript(`table inet firewall {
		chain forward { type filter hook forward priority filter; ip daddr 10.2.0.12 drop; ip6 daddr fd00:2::12 drop; }
	}`),
	farms{
		"web": oneBackend("dnat", listen1, "b1", 0, "queue = 0", unlimitedLog(`"input", "forward"`),
			`access.deny = ["198.51.100.0/24", "2001:db8:c::/48"]`),
		"walled": oneBackend("dnat", `"192.0.2.2:80/udp", "[2001:db8::2]:80/udp"`, "b2", 0, "queue = 0"),
		"open": oneBackend("dnat", `"192.0.2.3:80/tcp,udp", "[2001:db8::3]:80/tcp,udp"`, "b1", 0, "queue = 0",
			unlimitedLog(`"input", "forward"`)),
	},
	listenOnQueues(1),
	logToGroup,
	queued{logged{noAnswer{"udp", service1}, nil}, nil},
	queued{noAnswer{"udp", service2}, nil},
	queued{logged{requests(3, "", service3, "b1", ""),
		sumOf(logLines(3, "open input", "client", service3),
			logLines(3, "open forward b1", "client", "10.2.0.11:80 [fd00:2::11]:80"))},
		queuedPackets(3, "client", "10.2.0.11:80 [fd00:2::11]:80")},
	queued{logged{dropping{noAnswer{"udp", service3}}, udpLogLines(1, "open input", "client", service3)},
		queuedDatagrams("client", "10.2.0.11:80 [fd00:2::11]:80")},
}}

// queueOnce: a conversation without answers sends its first packet only to the queue.
var queueOnce = testCase{name: "conversation-is-queued-once", steps: steps{
	farms{"web": oneBackend("dnat", listen1, "b1", 9, "queue = 0")},
	listenOnQueues(1),
	queued{repeatedDatagrams(5), queuedDatagrams("client", "10.2.0.11:9 [fd00:2::11]:9")},
}}
