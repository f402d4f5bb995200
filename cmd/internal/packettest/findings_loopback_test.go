package packettest

import "testing"

// loopbackFarm is for programs of the balancer.
var (
	loopbackFarm   = oneBackend("snat", `"127.0.0.1:80"`, "b1", 0)
	asksOnLoopback = request{from: "balancer", by: "tcp", to: "127.0.0.1:80", shares: shares{"b1:80": 1},
		sees: "balancer", times: 1}
)

// A farm on a loopback address has its packets in other hooks: requests pass the output hook, and answers come in.
var findingLoopbackCases = []findingCase{
	{name: "output-of-a-farm-on-loopback", farm: loopbackFarm, served: asksOnLoopback, kind: "drop",
		setUp: steps{routeLocalnet}, says: "drops the packets of programs of this machine (farm web)",
		broken: steps{nftScript(`table inet filter2 { chain out {
			type filter hook output priority 0; policy drop; ct state established,related accept; oif "eth1" accept
		}; }`)}},
	{name: "output-of-a-dnat-farm-on-loopback", farm: oneBackend("dnat", `"127.0.0.1:80"`, "b1", 0),
		served: asksOnLoopback, kind: "drop",
		setUp: steps{routeLocalnet}, says: "drops the packets of programs of this machine (farm web)",
		broken: steps{nftScript(`table inet filter2 { chain out {
			type filter hook output priority 0; ip daddr 10.2.0.0/24 reject
		}; }`)}},
	{name: "output-before-nat-of-a-farm-on-loopback", farm: loopbackFarm, served: asksOnLoopback, kind: "drop",
		setUp: steps{routeLocalnet}, says: "nft insert rule ip raw2 out ip daddr 127.0.0.1 tcp dport 80 accept",
		broken: steps{nftScript(`table ip raw2 { chain out {
			type filter hook output priority raw; oif "lo" ip daddr 127.0.0.0/8 tcp dport 80 drop
		}; }`)}},
	{name: "nat-before-a-farm-on-loopback", farm: loopbackFarm, served: asksOnLoopback, kind: "destination-nat",
		setUp: steps{routeLocalnet}, says: "sends the packets of programs of this machine elsewhere, before farmc does",
		broken: steps{nftScript(`table ip nat2 { chain out {
			type nat hook output priority -150; tcp dport 80 dnat to 10.2.0.13:80
		}; }`)}},
	{name: "postrouting-of-a-farm-on-loopback", farm: loopbackFarm, served: asksOnLoopback, kind: "drop",
		setUp: steps{routeLocalnet}, says: "chain post of table inet filter2 drops the packets of programs",
		broken: steps{nftScript(`table inet filter2 { chain post {
			type filter hook postrouting priority 0; oifname "eth1" ct state new drop
		}; }`)}},
	{name: "input-of-answers-to-loopback", farm: loopbackFarm, served: asksOnLoopback, kind: "drop",
		setUp: steps{routeLocalnet}, says: "drops the answers of the backends (farm web)",
		broken: steps{nftScript(`table inet filter2 { chain in {
			type filter hook input priority 0; policy drop; iif "lo" accept; udp dport 53 accept
			icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
		}; }`)}},
	{name: "prerouting-of-answers-to-loopback", farm: loopbackFarm, served: asksOnLoopback, kind: "drop",
		setUp: steps{routeLocalnet}, says: "drops the answers of the backends (farm web)",
		broken: steps{nftScript(`table inet filter2 { chain pre {
			type filter hook prerouting priority 0; iif != "lo" ip daddr 127.0.0.0/8 drop
		}; }`)}},
}

// quietLoopback are states that stop a farm for other machines, but not one on a loopback address.
var quietLoopback = map[string]quietCase{
	"no-forwarding": {"forwarding", loopbackFarm, steps{routeLocalnet, sysctls{"net.ipv4.ip_forward", "0"}},
		asksOnLoopback},
	"no-forwarding-of-a-link": {"link-forwarding", loopbackFarm, steps{routeLocalnet, addDefaultRoutes,
		sysctls{"net.ipv4.conf.eth0.forwarding", "0"}, sysctls{"net.ipv4.conf.eth1.forwarding", "0"}}, asksOnLoopback},
	"strict-uplink": {"rp-filter", loopbackFarm, steps{routeLocalnet, secondUplink,
		sysctls{"net.ipv4.conf.eth9.rp_filter", "1"}}, asksOnLoopback},
	"forward-drops": {"drop", loopbackFarm, steps{routeLocalnet, nftScript(`table inet filter2 { chain forward {
		type filter hook forward priority 0; policy drop; }; }`)}, asksOnLoopback},
	"loopback-of-other-machines": {"drop", loopbackFarm, steps{routeLocalnet, nftScript(`table inet filter2 {
		chain pre { type filter hook prerouting priority raw; iif != "lo" ip daddr 127.0.0.0/8 drop; }; }`)},
		asksOnLoopback},
	// packets with a new route still leave by lo for output chains
	"output-by-lo": {"drop", loopbackFarm, steps{routeLocalnet, nftScript(`table inet filter2 { chain out {
		type filter hook output priority 0; policy drop; oif "lo" accept; meta l4proto ipv6-icmp accept; }; }`)},
		asksOnLoopback},
	"nat-of-docker": {"destination-nat", loopbackFarm, steps{routeLocalnet, nftScript(`table ip nat {
		chain DOCKER { tcp dport 80 dnat to 10.2.0.13:80; }
		chain OUTPUT { type nat hook output priority -100; fib daddr type local jump DOCKER; }; }`)}, asksOnLoopback},
}

func TestNoFindingsOnLoopback(t *testing.T) {
	t.Parallel()
	playQuiet(t, quietLoopback)
}
