package packettest

import (
	"fmt"
	"strings"
	"testing"
)

func TestMarks(t *testing.T) {
	t.Parallel()
	runCases(t, markCases())
}

// markTrace is another program's table. It sets its own bits on every connection before a farm sees it, and counts
// packets in forward, postrouting and input, by connection mark, service and machine.
var markTrace = func() nftScript {
	var sets, chains strings.Builder
	for _, hook := range []string{"forward", "postrouting", "input"} {
		fmt.Fprintf(&chains, "chain %s { type filter hook %[1]s priority 300\n", hook)
		for _, f := range []struct{ suffix, ip, address string }{{"ip4", "ip", "ipv4_addr"},
			{"ip6", "ip6", "ipv6_addr"}} {
			fmt.Fprintf(&sets, "set %s-%s { type mark . %[3]s . inet_service . %[3]s; size 1000; flags dynamic; }\n",
				hook, f.suffix, f.address)
			fmt.Fprintf(&sets, "set echo-%s-%s { type mark . %[3]s . %[3]s; size 1000; flags dynamic; }\n", hook,
				f.suffix, f.address)
			fmt.Fprintf(&chains,
				"ct direction original meta l4proto { tcp, udp } update @%s-%s { ct mark . ct original %[3]s daddr "+
					". ct original proto-dst . %[3]s daddr counter }\n", hook, f.suffix, f.ip)
			fmt.Fprintf(&chains,
				"ct direction original meta l4proto { icmp, icmpv6 } update @echo-%s-%s { ct mark . ct original "+
					"%[3]s daddr . %[3]s daddr counter }\n", hook, f.suffix, f.ip)
		}
		chains.WriteString("}\n")
	}
	return nftScript(`table inet spy {
		` + sets.String() + chains.String() + `
		chain before-prerouting {
			type filter hook prerouting priority mangle
			iifname != "lo" ct state new ct mark set 0x5a000000
		}
		chain before-output { type filter hook output priority mangle; ct state new ct mark set 0x5a000000; }
	}`)
}()

func markCases() (all []testCase) {
	for _, mode := range []string{"snat", "dnat"} {
		for _, scheduler := range []string{"random", "round-robin", "hash", "symmetric-hash", "maglev"} {
			all = append(all, markCase(mode, scheduler))
		}
	}
	return append(all, testCase{name: "local", steps: steps{
		markTrace,
		farms{"web": `
			mode          = "dnat"
			listen        = ["192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"]
			mark          = "0x10/0xff"
			local-clients = true
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
			mark    = "0x1000/0xf000"
			[backends.balancer]
			address = ["10.2.0.1", "fd00:2::1"]
			mark    = "0x2000/0xf000"
		`},
		request{by: "tcp udp", to: service1, shares: shares{"b1:80": 1, "balancer:80": 1}, times: 30},
		seenMarks{"forward", service1, map[string]uint32{"b1": 0x5a001010}},
		seenMarks{"input", service1, map[string]uint32{"balancer": 0x5a002010}},
		request{from: "balancer", by: "tcp udp", to: service1, shares: shares{"b1:80": 1, "balancer:80": 1}, times: 30,
			sees: "192.0.2.1 2001:db8::1"},
		seenMarks{"postrouting", service1, map[string]uint32{"b1": 0x5a001010, "balancer": 0x5a002010}},
	}})
}

func markCase(mode, scheduler string) testCase {
	farm := func(listen, keys, b1, b2 string) string {
		return fmt.Sprintf(`
			mode      = %q
			scheduler = %q
			listen    = [%s]
			%s
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
			%s
			[backends.b2]
			address = ["10.2.0.12", "fd00:2::12"]
			%s
		`, mode, scheduler, listen, keys, b1, b2)
	}
	sees := map[string]string{"snat": "balancer", "dnat": ""}[mode]
	return testCase{name: mode + "-" + scheduler, steps: steps{
		markTrace,
		farms{
			"all-bits": farm(listen1, `mark = 0x10`, ``, ``),
			"some-bits": farm(`"192.0.2.1:8001-8099/tcp,udp", "[2001:db8::1]:8001-8099/tcp,udp"`,
				`mark = "0x10/0xff"`, ``, ``),
			"backends": farm(`"192.0.2.2/all", "2001:db8::2/all"`, ``, `mark = 0x11`, `mark = "0x12/0xff"`),
			"beside":   farm(`"192.0.2.2:53/tcp,udp", "[2001:db8::2]:53/tcp,udp"`, ``, ``, ``),
			"both":     farm(`"*:443/tcp,udp"`, `mark = "0x2000/0xf000"`, `mark = "0x11/0xff"`, ``),
			"both-the-same": farm(`"192.0.2.3:80/tcp,udp", "[2001:db8::3]:80/tcp,udp"`, `mark = "0x10/0xff"`,
				`mark = "0x20/0xff"`, ``),
			"none-of-them": farm(`"192.0.2.4:80/tcp,udp", "[2001:db8::4]:80/tcp,udp"`, `mark = "0/0xff000000"`, ``,
				`mark = "0x7/0xf"`),
		},
		requestsMarked{"192.0.2.1:80 [2001:db8::1]:80", sees, 0x10, 0x10},
		requestsMarked{"192.0.2.1:8050 [2001:db8::1]:8050", sees, 0x5a000010, 0x5a000010},
		requestsMarked{"192.0.2.2:80 [2001:db8::2]:80", sees, 0x11, 0x5a000012},
		requestsMarked{"192.0.2.2:53 [2001:db8::2]:53", sees, 0x5a000000, 0x5a000000},
		requestsMarked{"192.0.2.1:443 [2001:db8::1]:443", sees, 0x5a002011, 0x5a002000},
		requestsMarked{"192.0.2.3:80 [2001:db8::3]:80", sees, 0x5a000020, 0x5a000010},
		requestsMarked{"192.0.2.4:80 [2001:db8::4]:80", sees, 0, 0x7},
		pings{to: "192.0.2.2 2001:db8::2", shares: shares{"b1": 1, "b2": 1}},
		seenMarks{"echo-forward", "192.0.2.2:0 [2001:db8::2]:0", map[string]uint32{"b1": 0x11, "b2": 0x5a000012}},
		seenMarks{"echo-postrouting", "192.0.2.2:0 [2001:db8::2]:0", map[string]uint32{"b1": 0x11, "b2": 0x5a000012}},
	}}
}
