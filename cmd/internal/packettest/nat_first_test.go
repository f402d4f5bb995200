package packettest

import (
	"fmt"
	"strings"
)

// pickFirstCases: prerouting asks one pick before it looks up the farm, as long as farms pick alike. Farms of other
// kinds come and go under connections.
var pickFirstCases = []testCase{
	{name: "pick-first-with-datagrams", steps: pickFirstSteps("tcp udp", `/tcp,udp`)},
	{name: "pick-first-of-tcp-alone", steps: pickFirstSteps("tcp", ``)},
	{name: "pick-first-beside-a-service-without-a-farm", steps: steps{
		keepsHalfClosed,
		nftScript(`table inet foreign {
			chain prerouting {
				type nat hook prerouting priority dstnat
				ip daddr 192.0.2.2 tcp dport 80 dnat to 10.2.0.13:8083
				ip6 daddr 2001:db8::2 tcp dport 80 dnat to [fd00:2::13]:8083
			}
		}`),
		farms{"web": oneBackend("dnat", `"192.0.2.1:80", "[2001:db8::1]:80"`, "b1", 8081)},
		asksFirst("jump dnat-random-1-ip4"),
		request{by: "tcp", to: service1, shares: shares{"b1:8081": 1}},
		request{by: "tcp", to: "192.0.2.2:80 [2001:db8::2]:80", shares: shares{"b3:8083": 1}},
	}},
	{name: "pick-first-beside-a-marked-farm-of-sctp", steps: steps{
		muteKernels,
		keepsHalfClosed,
		farms{"web": webOfTCP, "phone": phoneOfSCTP("")},
		asksFirst("jump dnat-random-1-ip4"),
		associations("dnat", sctpWhole, shares{"b2:3868": 1}),
		nftScript(`table inet foreign {
			chain forward {
				type filter hook forward priority 0
				ct direction original meta l4proto sctp ct mark & 0xff != 0x10 drop
			}
		}`),
		farms{"web": webOfTCP, "phone": phoneOfSCTP(`mark = "0x10/0xff"`)},
		asksFirst("meta l4proto tcp jump dnat-random-1-ip4"),
		associations("dnat", sctpWhole, shares{"b2:3868": 1}),
	}},
	{name: "pick-first-beside-a-zone", steps: steps{
		keepsHalfClosed,
		farms{
			"tenant": oneBackend("dnat", `"192.0.2.1:80", "[2001:db8::1]:80"`, "b1", 8081, `interfaces = "eth0"`,
				"zone = 1"),
			"web": oneBackend("dnat", `"192.0.2.2:80", "[2001:db8::2]:80"`, "b2", 8082),
		},
		asksFirst("jump dnat-random-1-ip4"),
		request{by: "tcp", to: service1, shares: shares{"b1:8081": 1}},
		request{by: "tcp", to: "192.0.2.2:80 [2001:db8::2]:80", shares: shares{"b2:8082": 1}},
	}},
}

var webOfTCP = oneBackend("dnat", `"192.0.2.1:80", "[2001:db8::1]:80"`, "b1", 8081)

func phoneOfSCTP(keys string) string {
	return oneBackend("dnat", `"192.0.2.2:3868/sctp", "[2001:db8::2]:3868/sctp"`, "b2", 0, keys)
}

// keepsHalfClosed is a machine whose times of connections are those of farms, so that no rule sets them.
var keepsHalfClosed = sysctls{"net.netfilter.nf_conntrack_tcp_timeout_close_wait", "3600"}

func pickFirstSteps(by, protocols string) steps {
	const other = "192.0.2.2:80 [2001:db8::2]:80 "
	listen := func(n string) string {
		return `"192.0.2.` + n + `:80` + protocols + `", "[2001:db8::` + n + `]:80` + protocols + `"`
	}
	web := oneBackend("snat", listen("1"), "b1", 8081)
	shop := oneBackend("dnat", listen("2"), "b2", 8082)
	turns := oneBackend("dnat", listen("3"), "b3", 8083, `scheduler = "round-robin"`)
	empty := "mode = 'snat'\nlisten = [" + listen("4") + "]\n[backends]\n"
	rule := "jump dnat-random-1-ip4"
	if strings.Contains(by, "udp") {
		rule = "meta l4proto tcp " + rule
	}
	return steps{
		farms{"web": web, "shop": shop}, // with the kernel's times
		asksFirst(""),
		hold{by: by, to: service1 + " " + other},
		keepsHalfClosed,
		farms{"web": web, "shop": shop},
		asksFirst(rule),
		echo{},
		transfer{"tcp", service1 + " " + other, 1 << 20},
		farms{"web": web, "shop": shop, "turns": turns},
		asksFirst(""),
		echo{},
		hold{by: by, to: service3},
		request{by: by, to: service1, shares: shares{"b1:8081": 1}, sees: "balancer"},
		request{by: by, to: other, shares: shares{"b2:8082": 1}},
		request{by: by, to: service3, shares: shares{"b3:8083": 1}},
		farms{"web": web, "shop": shop, "empty": empty},
		asksFirst(rule),
		echo{},
		request{by: by, to: service1, shares: shares{"b1:8081": 1}, sees: "balancer"},
		request{by: by, to: other, shares: shares{"b2:8082": 1}},
		refused{by: "tcp", to: "192.0.2.4:80 [2001:db8::4]:80"},
	}
}

// asksFirst is the rule by which prerouting asks a pick first; "" if it asks none.
type asksFirst string

func (a asksFirst) do(s *testbed) error {
	text, err := s.Balancer.Run(s.ctx, "", "nft", "list chain inet farmc prerouting")
	if err == nil && (a == "" && strings.Contains(text, "jump") || !strings.Contains(text, string(a)+"\n")) {
		err = fmt.Errorf("prerouting has to ask by %q first:\n%s", string(a), text)
	}
	return err
}
