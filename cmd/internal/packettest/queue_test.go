package packettest

import (
	"strings"
	"testing"
)

// TestQueue: new connections are judged by a program, which a kernel may be built without a way to. Where it is, all that can
// be asked is what people are told.
func TestQueue(t *testing.T) {
	t.Parallel()
	if lacksQueues(t) {
		t.Skip("this kernel has no queues to programs; Debian's has")
	}
	play(t, []scene{queueOf("snat", "balancer"), queueOf("dnat", ""), queueOfThisMachine, queueOfLocalClients, queueOfABackendHere, queueAfterFilters, queueOnce})
}

func queueOf(mode, sees string) scene {
	serving := "10.2.0.11:80 [fd00:2::11]:80"
	return scene{name: mode, steps: steps{
		farms{
			"web":   one(mode, everyDoor+`, "*:53/tcp,udp"`, "b1", 0, `queue = "0-3"`),
			"quiet": unlogged(mode),
		},
		asked(3, "", both+" "+inMiddle, "b1", sees), // nobody listens
		judges(4),
		judged{asked(3, "", both, "b1", sees), packets(3, "client", serving)},
		judged{asked(3, "", inMiddle+" "+inWhole+" "+inAny, "b1", sees), packets(3, "client", "10.2.0.11:8050 [fd00:2::11]:8050 10.2.0.11:443 [fd00:2::11]:443 10.2.0.11:53 [fd00:2::11]:53")},
		judged{asked(3, "", ofOthers, "b2", sees), nil},
		judged{hold{by: "tcp udp", to: both}, packets(20, "client", serving)},
		judged{steps{echo{}, pipe, echo{}}, nil},
		judged{asked(3, "balancer", both, "balancer", "192.0.2.1 2001:db8::1"), nil},
		judged{sternly{silent{"udp", both}}, allOf(udpPacket("client", serving))},
		hush,
		asked(3, "", both, "b1", sees),
		farms{"web": one(mode, everyDoor, "b1", 0, `queue = 2`)},
		judges(2),
		judged{asked(3, "", both, "b1", sees), nil}, // nobody listens to that one
		hush,
		judges(3),
		judged{asked(3, "", both, "b1", sees), packets(3, "client", serving)},
	}}
}

var queueOfThisMachine = scene{name: "local", steps: steps{
	farms{
		"proxy":  local(everyDoor+`, "*:53/tcp,udp"`, `queue = "0-1"`),
		"inside": local(`"192.0.2.4", "2001:db8::4"`, `interfaces = "eth1"`, `queue = 0`),
		"web":    unlogged("snat"),
	},
	judges(2),
	judged{asked(3, "", both+" "+inMiddle+" "+inWhole+" "+inAny, "balancer", ""), packets(3, "client", both+" "+inMiddle+" "+inWhole+" "+inAny)},
	judged{asked(3, "", ofOthers, "b2", "balancer"), nil},
	judged{asked(3, "", "192.0.2.4:80 [2001:db8::4]:80", "balancer", ""), nil},
	judged{asked(3, "b3", "192.0.2.4:80 [2001:db8::4]:80", "balancer", ""), packets(3, "b3", "192.0.2.4:80 [2001:db8::4]:80")},
	judged{asked(3, "balancer", both, "balancer", "192.0.2.1 2001:db8::1"), nil},
	judged{hold{by: "tcp udp", to: both}, packets(20, "client", both)},
	judged{steps{echo{}, pipe, echo{}}, nil},
	judged{pings{to: "192.0.2.2 2001:db8::2", shares: shares{"balancer": 1}}, map[string]int{"1 client > 192.0.2.2": 100, "58 client > 2001:db8::2": 100}},
	judged{sternly{silent{"udp", both}}, udpPacket("client", both)},
	hush,
	asked(3, "", both, "balancer", ""),
}}

var queueOfLocalClients = scene{name: "local-clients", steps: steps{
	farms{
		"web":     one("snat", listenBoth, "b1", 0, "local-clients = true", "queue = 0"),
		"outside": one("snat", `"192.0.2.2", "2001:db8::2"`, "b1", 0, "queue = 0"),
		"here":    "local-clients = true\nqueue = 0\n" + strings.ReplaceAll(localBackend("dnat"), ":80/", ":443/"),
	},
	judges(1),
	judged{asked(3, "balancer", "192.0.2.1:80", "b1", "balancer"), packets(3, "192.0.2.1", "10.2.0.11:80")},
	judged{asked(3, "balancer", "[2001:db8::1]:80", "b1", "balancer"), packets(3, "2001:db8::1", "[fd00:2::11]:80")},
	judged{asked(3, "balancer", bothSecond, "balancer", "192.0.2.2 2001:db8::2"), nil},
	judged{ask{from: "balancer", by: "tcp udp", to: "192.0.2.1:443", shares: shares{"balancer:8081": 1}, times: 3, sees: "192.0.2.1"}, packets(3, "192.0.2.1", "10.2.0.1:8081")},
}}

var queueOfABackendHere = scene{name: "local-backend", steps: steps{
	farms{"web": "queue = 0\n" + localBackend("snat")},
	judges(1),
	judged{ask{by: "tcp udp", to: both, shares: shares{"balancer:8081": 1}, times: 3}, packets(3, "client", "10.2.0.1:8081 [fd00:2::1]:8081")},
	judged{sternly{silent{"udp", both}}, udpPacket("client", "10.2.0.1:8081 [fd00:2::1]:8081")},
}}

// queueAfterFilters: what access, a limit or somebody else's filter turns away comes before no judge, and what the judge turns away is
// not told of as handed on.
var queueAfterFilters = scene{name: "after-filters", steps: steps{
	foreign(`table inet firewall {
		chain forward { type filter hook forward priority filter; ip daddr 10.2.0.12 drop; ip6 daddr fd00:2::12 drop; }
	}`),
	farms{
		"web":    one("dnat", listenBoth, "b1", 0, "queue = 0", unhindered(`"input", "forward"`), `access.deny = ["198.51.100.0/24", "2001:db8:c::/48"]`),
		"walled": one("dnat", `"192.0.2.2:80/udp", "[2001:db8::2]:80/udp"`, "b2", 0, "queue = 0"),
		"open":   one("dnat", `"192.0.2.3:80/tcp,udp", "[2001:db8::3]:80/tcp,udp"`, "b1", 0, "queue = 0", unhindered(`"input", "forward"`)),
	},
	judges(1),
	toGroup,
	judged{writes{silent{"udp", both}, nil}, nil},
	judged{silent{"udp", bothSecond}, nil},
	judged{writes{asked(3, "", third, "b1", ""), allOf(lines(3, "open input", "client", third), lines(3, "open forward b1", "client", "10.2.0.11:80 [fd00:2::11]:80"))}, packets(3, "client", "10.2.0.11:80 [fd00:2::11]:80")},
	judged{writes{sternly{silent{"udp", third}}, udpLines(1, "open input", "client", third)}, udpPacket("client", "10.2.0.11:80 [fd00:2::11]:80")},
}}

// queueOnce: of a conversation that nobody answers, the first packet alone is judged.
var queueOnce = scene{name: "once", steps: steps{
	farms{"web": one("dnat", listenBoth, "b1", 9, "queue = 0")},
	judges(1),
	judged{repeated(5), udpPacket("client", "10.2.0.11:9 [fd00:2::11]:9")},
}}
