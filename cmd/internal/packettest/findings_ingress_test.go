package packettest

import "testing"

// Chains of other programs at ingress see the packets of all farms before everything else.
var findingIngressCases = []findingCase{
	{name: "ingress-of-snat", farm: oneBackend("snat", listen1, "b1", 0), served: asksSNAT, kind: "drop",
		says: "nft insert rule netdev f in ip daddr 192.0.2.1 tcp dport 80 accept",
		broken: steps{nftScript(`table netdev f { chain in {
			type filter hook ingress device "eth0" priority -500; tcp dport 80 drop; }; }`)}},
	{name: "ingress-of-dnat-at-a-late-priority", farm: oneBackend("dnat", listen1, "b1", 0), served: asksDNAT,
		kind: "drop", says: "chain in of table netdev f drops the packets of clients (farm web)",
		broken: steps{nftScript(`table netdev f { chain in {
			type filter hook ingress device "eth0" priority 500; tcp dport { 80, 443 } drop; }; }`)}},
	{name: "ingress-of-answers", farm: oneBackend("dnat", listen1, "b1", 0), served: asksDNAT, kind: "drop",
		says: "drops the answers of the backends (farm web)",
		broken: steps{nftScript(`table netdev f { chain in {
			type filter hook ingress devices = { "eth0", "eth1" } priority 0; tcp sport 80 drop; }; }`)}},
	{name: "ingress-of-local", farm: localAt8081, served: asksLocal, kind: "drop",
		says: "drops the packets of clients",
		broken: steps{nftScript(`table netdev f { chain in {
			type filter hook ingress device "eth0" priority 0; ip daddr 192.0.2.0/24 drop; }; }`)}},
	{name: "ingress-of-stateless", farm: statelessInBothDirections, served: asksDNAT4, kind: "drop",
		says: "drops the packets of clients",
		broken: steps{nftScript(`table netdev f { chain in {
			type filter hook ingress device "eth0" priority 0; tcp dport 80 drop; }; }`)}},
	{name: "ingress-of-family-inet", farm: oneBackend("snat", listen1, "b1", 0), served: asksSNAT, kind: "drop",
		says: "chain in of table inet f drops the packets of clients",
		broken: steps{nftScript(`table inet f { chain in {
			type filter hook ingress device "eth0" priority 0; tcp dport 80 drop; }; }`)}},
	{name: "ingress-of-answers-to-loopback", farm: loopbackFarm, served: asksOnLoopback, kind: "drop",
		setUp: steps{routeLocalnet}, says: "drops the answers of the backends",
		broken: steps{nftScript(`table netdev f { chain in {
			type filter hook ingress device "eth1" priority 0; ip saddr 10.2.0.0/24 tcp sport 80 drop; }; }`)}},
	{name: "ingress-sends-packets-elsewhere", farm: statelessAtIngress, served: asksDNAT, kind: "drop",
		says: "sends the packets of clients out of another interface (farm web)",
		broken: steps{otherLink, nftScript(`table netdev f { chain in {
			type filter hook ingress device "eth0" priority -500; tcp dport 80 fwd to "eth7"; }; }`)}},
	{name: "egress-of-snat", farm: oneBackend("snat", listen1, "b1", 0), served: asksSNAT, kind: "drop",
		says: "chain out of table netdev f drops the packets to the backends (farm web)",
		broken: steps{nftScript(`table netdev f { chain out {
			type filter hook egress device "eth1" priority 0; tcp dport 80 drop; }; }`)}},
	{name: "egress-of-stateless-at-ingress", farm: statelessAtIngress, served: asksDNAT, kind: "drop",
		says: "nft insert rule netdev f out ip daddr 10.2.0.11 tcp dport 80 accept",
		broken: steps{nftScript(`table netdev f { chain out {
			type filter hook egress device "eth1" priority 0; tcp dport 80 drop; }; }`)}},
	{name: "egress-of-answers", farm: oneBackend("dnat", listen4, "b1", 0), served: asksDNAT4, kind: "drop",
		says: "drops the answers to clients",
		broken: steps{nftScript(`table netdev f { chain out {
			type filter hook egress devices = { "eth0", "eth1" } priority 0; ip saddr 192.0.2.1 drop; }; }`)}},
	{name: "egress-of-a-local-farm", farm: localAt8081, served: asksLocal, kind: "drop",
		says: "nft insert rule netdev f out ip saddr 192.0.2.1 tcp sport 8081 accept",
		broken: steps{nftScript(`table netdev f { chain out {
			type filter hook egress device "eth0" priority 0; meta l4proto tcp drop; }; }`)}},
	{name: "egress-of-arp", farm: statelessInBothDirections, served: asksDNAT4, kind: "drop",
		says: "drops ARP requests for 10.2.0.11",
		broken: steps{nftScript(`table netdev f { chain out {
			type filter hook egress device "eth1" priority 0; policy drop; meta protocol { ip, ip6 } accept; }; }`),
			runs("ip neigh flush dev eth1")}},
	{name: "ingress-of-arp", farm: oneBackend("snat", listen4, "b1", 0), served: asksSNAT4, kind: "drop",
		says: "drops ARP requests for 203.0.113.1",
		broken: steps{nftScript(`table netdev f { chain in {
			type filter hook ingress device "eth0" priority 0; policy drop; meta protocol { ip, ip6 } accept; }; }`),
			forgetNeighbours}},
	{name: "ingress-of-solicitations", farm: oneBackend("snat", listen6, "b1", 0), served: asksSNAT6, kind: "drop",
		says: "drops neighbour solicitations of clients and routers",
		broken: steps{nftScript(`table netdev f { chain in {
			type filter hook ingress device "eth0" priority 0; icmpv6 type nd-neighbor-solicit drop; }; }`),
			on{"client", "ip -6 neigh flush dev eth0"}}},
	// of one priority the chain that was loaded last comes first
	{name: "ingress-of-farmc's-priority", farm: statelessAtIngress, served: asksDNAT, kind: "drop",
		says: "drops the packets of clients",
		broken: steps{nftScript(`table netdev f { chain in {
			type filter hook ingress device "eth0" priority 0; tcp dport 80 drop; }; }`)}},
	{name: "ingress-of-farmc's-priority-and-family-inet", farm: statelessAtIngress, served: asksDNAT, kind: "drop",
		says: "drops the packets of clients",
		broken: steps{nftScript(`table inet f { chain in {
			type filter hook ingress device "eth0" priority 0; tcp dport 80 drop; }; }`)}},
	{name: "ingress-of-dsr", farm: dsrTopologies[1].farm(`"192.0.2.1:80"`), served: asksDirectly, kind: "drop",
		lab: dsrTopologies[1].lab, says: "drops the packets of clients",
		broken: steps{nftScript(`table netdev f { chain in {
			type filter hook ingress device "eth0" priority -1; tcp dport 80 drop; }; }`)}},
}

// quietIngress are chains at ingress that drop other packets, or come behind farmc's own one.
var quietIngress = map[string]quietCase{
	"other-packets": {"drop", oneBackend("snat", listen1, "b1", 0), steps{nftScript(`table netdev f { chain in {
		type filter hook ingress devices = { "eth0", "eth1" } priority -500; tcp dport 81 drop; udp dport 53 drop
		ip saddr 203.0.113.99 drop; ip daddr 192.0.2.2 drop; meta protocol vlan drop; }; }`)}, asksSNAT},
	"egress-of-other-packets": {"drop", oneBackend("snat", listen1, "b1", 0), steps{nftScript(`table netdev f {
		chain out { type filter hook egress devices = { "eth0", "eth1" } priority 0; tcp dport 81 drop
			udp sport 53 drop; ip daddr 203.0.113.99 drop; ip saddr 192.0.2.2 drop; }; }`)}, asksSNAT},
	"egress-of-another-link": {"drop", oneBackend("dnat", listen4, "b1", 0), steps{otherLink, nftScript(`
		table netdev f { chain out { type filter hook egress device "eth7" priority 0; policy drop; }; }`)}, asksDNAT4},
	"copies": {"drop", oneBackend("snat", listen4, "b1", 0), steps{otherLink, nftScript(`table netdev f { chain in {
		type filter hook ingress device "eth0" priority -500; tcp dport 80 dup to "eth7"; }; }`)}, asksSNAT4},
	"another-link": {"drop", oneBackend("snat", listen4, "b1", 0), steps{otherLink, nftScript(`table netdev f {
		chain in { type filter hook ingress device "eth7" priority -500; policy drop; }; }`)}, asksSNAT4},
	"requests-at-the-link-of-backends": {"drop", oneBackend("snat", listen4, "b1", 0), steps{nftScript(`table netdev f {
		chain in { type filter hook ingress device "eth1" priority -500; tcp dport 80 drop; }; }`)}, asksSNAT4},
	"loaded-before": {"drop", statelessAtIngress, steps{nftScript(`table netdev f { chain in {
		type filter hook ingress device "eth0" priority 0; tcp dport 80 drop; }; }`)}, asksDNAT},
	"behind": {"drop", statelessAtIngress, steps{nftScript(`table netdev f { chain in {
		type filter hook ingress device "eth0" priority 10; tcp dport 80 drop; }; }`)}, asksDNAT},
}

func TestNoFindingsAtIngress(t *testing.T) {
	t.Parallel()
	playQuiet(t, quietIngress)
	runCases(t, []testCase{{name: "behind-a-chain-that-asks-first", lab: dsrTopologies[1].lab, steps: steps{
		farms{"web": dsrTopologies[1].farm(`"192.0.2.1:80"`)},
		nftScript(`table netdev f { chain in {
			type filter hook ingress device "eth0" priority 0; tcp dport 80 drop; }; }`),
		asksDirectly,
		stepFunc(func(s *testbed) error {
			if found, err := s.found(); len(found) > 0 || err != nil {
				t.Errorf("found %v, %v", found.Diagnostics(), err)
			}
			return nil
		}),
	}}})
}
