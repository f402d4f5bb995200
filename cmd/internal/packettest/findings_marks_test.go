package packettest

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Rules of other programs that drop packets or connections without their mark.

const (
	markedFarm    = `mark = "0x10/0xff"`
	markOfBackend = `
		mark = "0x11/0xff"`
	repliesFor = `mark-replies = { eth0 = "0x100/0xf00" }`
)

var findingMarkCases = []findingCase{
	{name: "unmarked-at-forward", farm: oneBackend("snat", listen1, "b1", 0), served: asksSNAT, kind: "drop",
		says: "chain forward of table inet filter2 drops the forwarded packets (farm web)",
		broken: steps{nftScript(`table inet filter2 { chain forward {
			type filter hook forward priority 0; policy drop; ct state established,related accept
			meta mark & 0x4000 == 0x4000 accept
		}; }`)}},
	{name: "marked-by-a-later-chain", farm: oneBackend("dnat", listen1, "b1", 0), served: asksDNAT, kind: "drop",
		says: "drops the forwarded packets",
		broken: steps{nftScript(`table inet filter2 {
			chain forward { type filter hook forward priority 0; meta mark != 0x4000 ct state new drop; }
			chain last { type filter hook forward priority 10; meta mark set 0x4000; }
		}`)}},
	{name: "marked-on-another-interface", farm: oneBackend("snat", listen1, "b1", 0), served: asksSNAT, kind: "drop",
		says: "drops the forwarded packets",
		broken: steps{nftScript(`table inet filter2 {
			chain marks { type filter hook prerouting priority mangle; iifname "eth7" meta mark set 1
				tcp dport 443 meta mark set 1; }
			chain forward { type filter hook forward priority 0; policy drop; ct state established accept
				meta mark vmap { 1 : accept, 2 : accept }; }
		}`)}},
	{name: "unmarked-connections", farm: oneBackend("snat", listen1, "b1", 0), served: asksSNAT, kind: "drop",
		says: "drops the forwarded packets",
		broken: steps{nftScript(`table inet filter2 { chain forward {
			type filter hook forward priority 0; ct mark { 1-15, 32 } accept; reject; }; }`)}},
	{name: "another-mark-than-the-farm's", farm: oneBackend("dnat", listen1, "b1", 0, markedFarm), served: asksDNAT,
		kind: "drop", says: "drops the forwarded packets",
		broken: steps{nftScript(`table inet filter2 { chain forward {
			type filter hook forward priority 0; ct mark & 0xff != 0x20 drop; }; }`)}},
	{name: "unmarked-at-prerouting", farm: oneBackend("snat", listen4, "b1", 0), served: asksSNAT4, kind: "drop",
		says: "drops the packets of clients",
		broken: steps{nftScript(`table inet early { chain pre {
			type filter hook prerouting priority mangle; iifname "eth0" meta mark 0 drop; }; }`)}},
	{name: "unmarked-answers", farm: oneBackend("dnat", listen1, "b1", 0), served: asksDNAT, kind: "drop",
		says: "drops the answers of the backends",
		broken: steps{nftScript(`table inet filter2 {
			chain marks { type filter hook prerouting priority mangle; meta mark set ct mark; }
			chain forward { type filter hook forward priority 0; policy drop; iifname "eth0" accept
				meta mark 0x10 accept; }
		}`)}},
	{name: "unmarked-stateless", farm: oneBackend("stateless", listen1, "b1", 0), served: asksDNAT, kind: "drop",
		says: "drops the forwarded packets",
		broken: steps{nftScript(`table inet filter2 { chain forward {
			type filter hook forward priority 0; policy drop; ct mark 0 accept; meta mark 5 accept; }; }`)}},
	{name: "unmarked-at-input", farm: localAt8081, served: asksLocal, kind: "drop",
		says: "drops the packets to a backend on this machine",
		broken: steps{nftScript(`table inet filter2 { chain in {
			type filter hook input priority 0; tcp dport 8081 meta mark != 7 drop; }; }`)}},
	{name: "unmarked-at-ingress", farm: oneBackend("snat", listen4, "b1", 0), served: asksSNAT4, kind: "drop",
		says: "drops the packets of clients",
		broken: steps{nftScript(`table netdev early { chain in {
			type filter hook ingress devices = { eth0 } priority 0; tcp dport 80 meta mark 0 drop; }; }`)}},
	{name: "unmarked-iptables", needs: "iptables-nft", farm: oneBackend("snat", listen4, "b1", 0), served: asksSNAT4,
		kind: "drop", says: "iptables -t filter -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT",
		broken: steps{runs("iptables-nft -P FORWARD DROP; iptables-nft -A FORWARD -m connmark --mark 1 -j ACCEPT; " +
			"iptables-nft -A FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT")}},
}

// quietMarks are rules that drop packets without a mark, beside rules or keys that give those of the farm the mark.
var quietMarks = map[string]quietCase{
	"marked-at-prerouting": {"drop", oneBackend("snat", listen1, "b1", 0), steps{nftScript(`table inet filter2 {
		chain marks { type filter hook prerouting priority mangle
			tcp dport 80 meta mark set meta mark | 0x4000; udp dport 80 meta mark set meta mark | 0x4000; }
		chain forward { type filter hook forward priority 0; policy drop; ct state established,related accept
			meta mark & 0x4000 == 0x4000 accept; }
	}`)}, asksSNAT},
	"marked-iptables": {"drop", oneBackend("snat", listen4, "b1", 0), steps{needing("iptables-nft"), runs(`
		iptables-nft -t mangle -N MARKED
		iptables-nft -t mangle -A MARKED -j MARK --or-mark 0x4000
		iptables-nft -t mangle -A MARKED -j CONNMARK --save-mark
		iptables-nft -t mangle -A PREROUTING -p tcp --dport 80 -j MARKED
		iptables-nft -P FORWARD DROP
		iptables-nft -A FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
		iptables-nft -A FORWARD -m connmark --mark 0x4000/0x4000 -j ACCEPT`)}, asksSNAT4},
	"marked-by-the-farm": {"drop", oneBackend("dnat", listen1, "b1", 0, markedFarm), steps{nftScript(`
		table inet filter2 { chain forward { type filter hook forward priority 0; policy drop
			ct mark & 0xff == 0x10 accept; }; }`)}, asksDNAT},
	"marked-by-the-backend": {"drop", oneBackend("dnat", listen1, "b1", 0) + markOfBackend, steps{nftScript(`
		table inet filter2 { chain forward { type filter hook forward priority 0; policy drop
			ct mark & 0xff == 0x11 accept; }; }`)}, asksDNAT},
	"marked-replies": {"drop", oneBackend("dnat", listen1, "b1", 0, repliesFor), steps{nftScript(`
		table inet filter2 { chain forward { type filter hook forward priority 0; policy drop
			iifname "eth0" ct mark & 0xf00 == 0x100 accept
			iifname "eth1" meta mark & 0xf00 == 0x100 accept; }; }`)}, asksDNAT},
	"marked-connections": {"drop", oneBackend("dnat", listen1, "b1", 0), steps{nftScript(`table inet filter2 {
		chain marks { type filter hook prerouting priority mangle
			ct state new ct mark set iifname map { "eth0" : 5, "eth1" : 6 }
			meta mark set ct mark; }
		chain forward { type filter hook forward priority 0; policy drop; meta mark 5 accept; }
	}`)}, asksDNAT},
	"marked-behind-postrouting": {"drop", oneBackend("dnat", listen1, "b1", 0), steps{nftScript(`table inet filter2 {
		chain post { type filter hook postrouting priority 0; ct mark set 9; }
		chain forward { type filter hook forward priority 0; policy drop; iifname "eth0" accept; ct mark 9 accept; }
	}`)}, asksDNAT},
	"some-clients-marked": {"drop", oneBackend("snat", listen1, "b1", 0), steps{nftScript(`table inet filter2 {
		chain marks { type filter hook prerouting priority mangle
			ip saddr 198.51.100.0/24 meta mark set 1; ip6 saddr 2001:db8:c::/48 meta mark set 1; }
		chain forward { type filter hook forward priority 0; policy drop; ct state established accept
			meta mark 1 accept; }
	}`)}, asksSNAT},
	"marked-at-ingress": {"drop", oneBackend("snat", listen4, "b1", 0), steps{nftScript(`
		table netdev early { chain in { type filter hook ingress devices = { eth0 } priority 0
			tcp dport 80 meta mark set 0x4000; }; }
		table inet filter2 { chain forward { type filter hook forward priority 0; policy drop
			ct state established accept; meta mark 0x4000 accept; }; }`)}, asksSNAT4},
	"unmarked-stateless": {"drop", oneBackend("stateless", listen1, "b1", 0), steps{nftScript(`table inet filter2 {
		chain forward { type filter hook forward priority 0; ct mark != 5 drop; meta mark != 0 drop; }; }`)}, asksDNAT},
}

// A filter of marks is no finding for packets with the mark.
func TestNoFindingsOfMarks(t *testing.T) {
	t.Parallel()
	playQuiet(t, quietMarks)
}

// Filters of tc give packets marks before all hooks.
func TestMarksOfTrafficControl(t *testing.T) {
	t.Parallel()
	needsFilters(t)
	quietCase{farm: oneBackend("snat", listen4, "b1", 0), ask: asksSNAT4, state: steps{runs(`
		tc qdisc add dev eth0 clsact
		tc filter add dev eth0 ingress pref 9 protocol ip matchall action skbedit mark 7`), nftScript(`
		table inet filter2 { chain forward { type filter hook forward priority 0; policy drop
			ct state established accept; meta mark 7 accept; }; }`)}}.play(t)
}

// So do programs of tcx.
func TestMarksOfPrograms(t *testing.T) {
	t.Parallel()
	marksAll := stepFunc(func(s *testbed) error {
		return s.Balancer.Do(func() error {
			_, err := linkProgram{"eth0", unix.BPF_TCX_INGRESS}.attach(s.t)
			return err
		})
	})
	quietCase{farm: oneBackend("snat", listen4, "b1", 0), ask: asksSNAT4, state: steps{marksAll, nftScript(`
		table inet filter2 { chain forward { type filter hook forward priority 0; policy drop
			ct state established accept; meta mark 7 accept; }; }`)}}.play(t)
}

// needing skips the test if this machine lacks a program.
func needing(program string) step {
	return stepFunc(func(s *testbed) error {
		needs(s.t, program)
		return nil
	})
}
