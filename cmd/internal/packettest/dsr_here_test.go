package packettest

import (
	"fmt"
	"strings"
	"testing"
)

// TestBalancerAmongBackends: a balancer serves its share of a dsr farm itself. Two of them with the same farms, each a
// backend of the other, hand on no frame that the other one has handed on. The service moves from one to the other.
func TestBalancerAmongBackends(t *testing.T) {
	t.Parallel()
	runCases(t, balancerAmongBackendsCases())
}

// hereSchedulers are the kinds of chains: shared and own ones, with and without a mark, with and without persistence.
var hereSchedulers = []struct{ name, keys string }{
	{"maglev", ``},
	{"hash", `scheduler = "hash"`},
	{"hash-by-port", "scheduler = \"hash\"\nhash-on = [\"source-address\", \"source-port\"]"},
	{"symmetric-hash", `scheduler = "symmetric-hash"`},
	{"persistence", `persistence = { on = ["source-address", "source-port"], timeout = "1h" }`},
}

func balancerAmongBackendsCases() (all []testCase) {
	for _, c := range hereSchedulers {
		all = append(all, testCase{name: c.name, lab: pairLab, steps: steps{
			pairServes,
			onPair(farms{"web": pairFarm(listenFloating, c.keys)}),
			moveFloating{to: first},
			handsOn{first},
			moveFloating{first, second},
			handsOn{second},
			moveFloating{second, first},
			handsOn{first},
		}})
	}
	return append(all,
		testCase{name: "per-packet", lab: pairLab, steps: steps{
			pairServes,
			onPair(farms{"web": pairFarm(`"10.2.0.50:80/udp", "[fd00:2::50]:80/udp"`, "per-packet = true")}),
			moveFloating{to: first},
			countFrames,
			oneSocket{to: floating, shares: shares{"balancer:80": 1, "second:80": 1, "b1:80": 2}},
			handedOn{first},
			moveFloating{first, second},
			countFrames,
			oneSocket{to: floating, shares: shares{"balancer:80": 1, "second:80": 1, "b1:80": 2}},
			handedOn{second},
		}},
		testCase{name: "while-farms-differ", lab: pairLab, steps: steps{
			pairServes,
			farms{"web": onlyBackend("two")},
			onSecond{farms{"web": onlyBackend("one")}},
			moveFloating{to: first},
			countFrames,
			directRequest{by: "tcp udp", to: floating, shares: shares{"second": 1}, clients: 30},
			transfer{by: "tcp", to: floating, size: 1 << 20},
			transfer{by: "udp", to: floating, size: 4000},
		}},
		testCase{name: "status", lab: pairLab, steps: steps{
			pairServes,
			onPair(farms{"web": onlyBackend("one")}),
			moveFloating{to: first},
			directRequest{by: "tcp", to: floating, shares: shares{"balancer": 1}, clients: 10},
			newConnections{"one": 20},
			isHere{"one"},
			onPair(farms{"web": onlyBackend("two")}),
			directRequest{by: "tcp", to: floating, shares: shares{"second": 1}, clients: 10},
			newConnections{"one": 20, "two": 20},
			onSecond{newConnections{"two": 0}, isHere{"two"}},
		}},
		testCase{name: "findings", lab: pairLab, steps: steps{
			pairServes,
			onPair(farms{"web": pairFarm(listenFloating)}),
			moveFloating{to: first},
			noFinding,
			onSecond{noFinding},
			dropsAtInput,
			inputFinding,
			onPair(farms{"web": onlyBackend("b1")}),
			directRequest{by: "tcp udp", to: floating, shares: shares{"b1": 1}, clients: 10},
			noFinding,
			runs("nft delete table inet filter2"),
			onPair(farms{"web": pairFarm(listenFloating)}),
			runs("ip address del 10.2.0.50/32 dev eth0"),
			onSecond{
				runs("ip address del 10.2.0.50/32 dev lo"),
				ownShareFinding("two", "10.2.0.50"),
				noFinding,
			},
		}},
		testCase{name: "address-comes-and-goes", lab: pairLab, steps: steps{
			pairServes,
			farms{"web": strings.NewReplacer("10.2.0.1\"", "10.2.0.77\"", "fd00:2::1\"", "fd00:2::77\"").Replace(
				pairFarm(listenFloating, `scheduler = "hash"`))},
			onSecond{farms{"web": onlyBackend("two")}},
			moveFloating{to: first},
			addAddress{"eth0", "10.2.0.77/24"},
			addAddress{"eth0", "fd00:2::77/64"},
			applyAgain,
			directRequest{by: "tcp udp", to: floating, shares: pairShares, clients: 120},
			runs("ip address del 10.2.0.77/24 dev eth0; ip address del fd00:2::77/64 dev eth0"),
			on{"b2", "ip address add 10.2.0.77/24 dev eth0; ip address add fd00:2::77/64 dev eth0 nodad"},
			applyAgain,
			directRequest{by: "tcp udp", to: floating, shares: shares{"b2": 1, "second": 1, "b1": 2}, clients: 120},
		}},
	)
}

// onlyBackend is pairFarm with one backend that is up.
func onlyBackend(name string) string {
	text := pairFarm(listenFloating)
	for _, other := range []string{"one", "two", "b1"} {
		if other != name {
			begin := fmt.Sprintf("[backends.%s]\n", other)
			text = strings.Replace(text, begin, begin+"state = \"down\"\n", 1)
		}
	}
	return text
}

// handsOn: a balancer has the floating address, and all machines serve their shares.
type handsOn struct{ by balancerOf }

func (o handsOn) do(s *testbed) error {
	return steps{
		countFrames,
		directRequest{by: "tcp udp", to: floating, shares: pairShares},
		transfer{by: "tcp", to: floating, size: 1 << 20},
		handedOn(o),
	}.do(s)
}
