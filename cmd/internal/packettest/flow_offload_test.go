package packettest

import (
	"testing"

	"farmc/cmd/internal/netlab"
)

// TestFlowOffload: established connections bypass the forward chain. The kernel may lack flow tables. Then the test
// checks the error message.
func TestFlowOffload(t *testing.T) {
	t.Parallel()
	if lacksFlowTables(t) {
		t.Skip("this kernel has no flow tables; Debian's has")
	}
	runCases(t, []testCase{
		flowOffloadCase("snat", "snat", `["eth0", "eth1"]`, netlab.Options{}),
		flowOffloadCase("snat-one-armed", "snat", `"eth0"`, netlab.Options{OneArmed: true}),
		flowOffloadCase("dnat", "dnat", `["eth0", "eth1"]`, netlab.Options{}),
		flowOffloadAllCase("all-of-snat", "snat"),
		flowOffloadAllCase("all-of-dnat", "dnat"),
	})
}

// passed counts forwarded packets.
const passed = nftScript(`table inet spy {
	counter passed { }
	chain forward { type filter hook forward priority -300; counter name passed; }
}`)

func flowOffloadCase(name, mode, devices string, lab netlab.Options) testCase {
	offload := "flow-offload = " + devices
	const (
		port   = service1 + " "
		ranged = "192.0.2.1:8050 [2001:db8::1]:8050 "
		whole  = "192.0.2.2:80 [2001:db8::2]:80 "
		any    = "192.0.2.3:443 [2001:db8::3]:443 "
		not    = "192.0.2.1:8081 [2001:db8::1]:8081 192.0.2.2:53 [2001:db8::2]:53"
	)
	return testCase{name: name, lab: lab, steps: steps{
		passed,
		farms{
			"port": oneBackend(mode, listen1, "b1", 8081, offload),
			"range": oneBackend(mode, `"192.0.2.1:8000-8100/tcp,udp", "[2001:db8::1]:8000-8100/tcp,udp"`, "b2", 0,
				offload),
			"whole":    oneBackend(mode, `"192.0.2.2/all", "2001:db8::2/all"`, "b3", 0, offload),
			"any":      oneBackend(mode, `"*:443/tcp,udp"`, "b2", 8082, offload),
			"in-range": oneBackend(mode, `"192.0.2.1:8081/tcp,udp", "[2001:db8::1]:8081/tcp,udp"`, "b3", 0),
			"in-whole": oneBackend(mode, `"192.0.2.2:53/tcp,udp", "[2001:db8::2]:53/tcp,udp"`, "b1", 0),
		},
		hold{by: "tcp udp", to: port + ranged + whole + any},
		echo{}, // the first packets of both directions pass the forward chain
		stepFunc(takesShortCut),
		offloaded{port + ranged + whole + any, true},
		pipeScript,
		echo{}, echo{},
		stepFunc(takesShortCut),
		closeAll,
		hold{by: "tcp udp", to: not},
		echo{},
		offloaded{not, false},
		transfer{"tcp", port + ranged + whole + any, 300_000},
		transfer{"udp", port + ranged + whole + any, 4000},
		closeAll,
		farms{"web": oneBackend(mode, listen1, "b3", 0, `flow-offload = ["eth0", "eth1", "absent0"]`)},
		hold{by: "tcp udp", to: port},
		echo{},
		stepFunc(takesShortCut),
	}}
}

// flowOffloadAllCase: with flow-offload-all in one farm, connections of another farm and of another program's NAT
// bypass the forward chain, too.
func flowOffloadAllCase(name, mode string) testCase {
	const foreign = nftScript(`table inet foreign {
	chain prerouting {
		type nat hook prerouting priority dstnat
		ip daddr 192.0.2.3 dnat ip to 10.2.0.13
		ip6 daddr 2001:db8::3 dnat ip6 to fd00:2::13
	}
}`)
	const (
		web   = service1 + " "
		other = "192.0.2.2:80 [2001:db8::2]:80 "
		their = "192.0.2.3:8081 [2001:db8::3]:8081"
	)
	offload := `flow-offload = ["eth0", "eth1"]`
	return testCase{name: name, steps: steps{
		passed, foreign,
		farms{
			"web":   oneBackend(mode, listen1, "b1", 8081, offload, "flow-offload-all = true"),
			"other": oneBackend(mode, `"192.0.2.2:80/tcp,udp", "[2001:db8::2]:80/tcp,udp"`, "b2", 8081),
		},
		hold{by: "tcp udp", to: web + other + their},
		echo{}, echo{},
		offloaded{web + other + their, true},
		stepFunc(takesShortCut),
		transfer{"tcp", web + other, 1_000_000},
		transfer{"udp", web + other, 4000},
		closeAll,
		emptyTable, // of closed connections, which no flow table has
		farms{
			"web":   oneBackend(mode, listen1, "b1", 8081, offload),
			"other": oneBackend(mode, `"192.0.2.2:80/tcp,udp", "[2001:db8::2]:80/tcp,udp"`, "b2", 8081),
		},
		hold{by: "tcp udp", to: web + other},
		echo{}, echo{},
		offloaded{web, true}, offloaded{other, false},
	}}
}
