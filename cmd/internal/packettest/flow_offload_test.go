package packettest

import (
	"testing"

	"farmc/cmd/internal/netlab"
)

// TestFlowOffload: established connections take the short cut, which a kernel may be built without. Where it is, all that
// can be asked is what people are told.
func TestFlowOffload(t *testing.T) {
	t.Parallel()
	if lacksFlowTables(t) {
		t.Skip("this kernel has no flow tables; Debian's has")
	}
	play(t, []scene{
		offloadScene("snat", "snat", `["eth0", "eth1"]`, netlab.Options{}),
		offloadScene("snat-one-armed", "snat", `"eth0"`, netlab.Options{OneArmed: true}),
		offloadScene("dnat", "dnat", `["eth0", "eth1"]`, netlab.Options{}),
	})
}

// passed counts what is forwarded, by which protocol and family, in the direction of the service.
const passed = foreign(`table inet spy {
	counter passed { }
	chain forward { type filter hook forward priority -300; counter name passed; }
}`)

func offloadScene(name, mode, devices string, lab netlab.Options) scene {
	offload := "flow-offload = " + devices
	const (
		port   = both + " "
		ranged = "192.0.2.1:8050 [2001:db8::1]:8050 "
		whole  = "192.0.2.2:80 [2001:db8::2]:80 "
		any    = "192.0.2.3:443 [2001:db8::3]:443 "
		not    = "192.0.2.1:8081 [2001:db8::1]:8081 192.0.2.2:53 [2001:db8::2]:53"
	)
	return scene{name: name, lab: lab, steps: steps{
		passed,
		farms{
			"port":     one(mode, listenBoth, "b1", 8081, offload),
			"range":    one(mode, `"192.0.2.1:8000-8100/tcp,udp", "[2001:db8::1]:8000-8100/tcp,udp"`, "b2", 0, offload),
			"whole":    one(mode, `"192.0.2.2", "2001:db8::2"`, "b3", 0, offload),
			"any":      one(mode, `"*:443/tcp,udp"`, "b2", 8082, offload),
			"in-range": one(mode, `"192.0.2.1:8081/tcp,udp", "[2001:db8::1]:8081/tcp,udp"`, "b3", 0),
			"in-whole": one(mode, `"192.0.2.2:53/tcp,udp", "[2001:db8::2]:53/tcp,udp"`, "b1", 0),
		},
		hold{by: "tcp udp", to: port + ranged + whole + any},
		echo{}, // the first packets of both directions passed the long way
		deed(takesShortCut),
		offloaded{port + ranged + whole + any, true},
		pipe,
		echo{}, echo{},
		deed(takesShortCut),
		hangUp,
		hold{by: "tcp udp", to: not},
		echo{},
		offloaded{not, false},
		carry{"tcp", port + ranged + whole + any, 300_000},
		carry{"udp", port + ranged + whole + any, 4000},
		hangUp,
		farms{"web": one(mode, listenBoth, "b3", 0, `flow-offload = ["eth0", "eth1", "absent0"]`)},
		hold{by: "tcp udp", to: port},
		echo{},
		deed(takesShortCut),
	}}
}
