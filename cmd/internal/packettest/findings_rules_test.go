package packettest

import (
	"context"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// asksSNAT4 and asksDNAT4 ask the service over IPv4 only.
var (
	asksSNAT4 = request{by: "tcp", to: "192.0.2.1:80", shares: shares{"b1:80": 1}, sees: "balancer", times: 1}
	asksDNAT4 = request{by: "tcp", to: "192.0.2.1:80", shares: shares{"b1:80": 1}, times: 1}
)

var findingRuleCases = []findingCase{
	{name: "notrack-of-answers", farm: oneBackend("dnat", listen1, "b1", 0), served: asksDNAT, kind: "notrack",
		says: "takes the answers of the backends from connection tracking (farm web)",
		broken: steps{nftScript(`table inet early { chain pre {
			type filter hook prerouting priority raw; iifname "eth1" tcp sport 80 notrack
		}; }`)}},
	{name: "answers-dropped-at-prerouting", farm: oneBackend("snat", listen1, "b1", 0), served: asksSNAT, kind: "drop",
		says: "drops the answers of the backends",
		broken: steps{nftScript(`table inet early { chain pre {
			type filter hook prerouting priority raw; iifname "eth1" tcp sport { 80, 443 } drop
		}; }`)}},
	{name: "zone-of-requests", farm: oneBackend("snat", listen1, "b1", 0), served: asksSNAT, kind: "zone",
		says: "into different zones of connection tracking",
		broken: steps{nftScript(`table inet early { chain pre {
			type filter hook prerouting priority raw; iifname "eth0" ct zone set 5
		}; }`)}},
	{name: "zone-of-answers", farm: oneBackend("dnat", listen1, "b1", 0), served: asksDNAT, kind: "zone",
		says: "into different zones of connection tracking",
		broken: steps{nftScript(`table inet early {
			chain zones { ct zone set iifname map { "eth1" : 7 }; }
			chain pre { type filter hook prerouting priority raw; iifname "eth1" jump numbered; }
			chain numbered { ct zone set 7; }
		}`)}},
	{name: "tproxy", farm: oneBackend("snat", listen1, "b1", 0), served: asksSNAT, kind: "proxy",
		says: "hands the packets of clients to a proxy",
		broken: steps{transparentListener, nftScript(`table inet proxy { chain pre {
			type filter hook prerouting priority mangle
			meta nfproto ipv4 tcp dport 80 tproxy ip to :9999 accept
			meta nfproto ipv6 tcp dport 80 tproxy ip6 to :9999 accept
		}; }`)}},
	{name: "synproxy", farm: oneBackend("snat", listen1, "b1", 0), served: asksSNAT, kind: "proxy",
		says: "hands the forwarded packets to a proxy",
		broken: steps{nftScript(`table inet proxy { chain forward {
			type filter hook forward priority 0
			tcp dport 80 tcp flags & (fin | syn | rst | ack) == syn synproxy mss 1460 wscale 7 timestamp sack-perm
		}; }`)}},
	{name: "synproxy-object", farm: oneBackend("snat", listen1, "b1", 0), served: asksSNAT, kind: "proxy",
		says: "hands the forwarded packets to a proxy",
		broken: steps{nftScript(`table inet proxy {
			synproxy cookies { mss 1460
				wscale 7
			}
			chain forward { type filter hook forward priority 0
				tcp dport 80 tcp flags & (fin | syn | rst | ack) == syn synproxy name "cookies"; }
		}`)}},
	{name: "second-frontend", farm: oneBackend("snat", `"192.0.2.2:443", "192.0.2.1:80"`, "b1", 80), served: asksSNAT4,
		kind: "destination-nat", says: "sends the packets of clients elsewhere",
		broken: steps{nftScript(`table ip before { chain pre { type nat hook prerouting priority -150
			tcp dport 80 dnat to 10.2.0.13; }; }`)}},
	{name: "second-backend", farm: twoBackendsOnePort, kind: "drop",
		served: request{by: "tcp", to: "192.0.2.1:80", shares: shares{"b1:80": 1, "b2:80": 1}, sees: "balancer"},
		says:   "drops the forwarded packets, backend b2 (farm web)",
		broken: steps{nftScript(`table ip filter2 { chain forward { type filter hook forward priority 0
			ct state established accept; ip daddr 10.2.0.11 accept; reject with icmp admin-prohibited; }; }`)}},
	{name: "frontend-of-all-addresses", farm: oneBackend("snat", `"*:80"`, "b1", 0), kind: "drop",
		served: request{by: "tcp", to: "203.0.113.1:80", shares: shares{"b1:80": 1}, sees: "balancer", times: 1},
		says:   "drops the packets of clients",
		broken: steps{nftScript(`table inet early { chain pre {
			type filter hook prerouting priority -310; tcp dport 80 drop; }; }`)}},
	{name: "postrouting-drop", farm: oneBackend("dnat", listen1, "b1", 0), served: asksDNAT, kind: "drop",
		says: "chain post of table inet filter2 drops the forwarded packets",
		broken: steps{nftScript(`table inet filter2 { chain post {
			type filter hook postrouting priority 0; policy drop; ct state established accept
		}; }`)}},
	{name: "output-of-a-local-backend", farm: localBackend, kind: "drop",
		served: request{by: "tcp", to: service1, shares: shares{"balancer:8081": 1}, times: 1},
		says:   "drops the answers of a backend on this machine",
		broken: steps{nftScript(`table inet filter2 { chain out {
			type filter hook output priority 0; policy drop; meta l4proto ipv6-icmp accept; udp dport 53 accept
		}; }`)}},
	{name: "output-of-a-local-farm", farm: localAt8081, served: asksLocal, kind: "drop",
		says: "drops the answers of a backend on this machine",
		broken: steps{nftScript(`table inet filter2 { chain out {
			type filter hook output priority 0; policy drop; udp dport 53 accept
		}; }`)}},
	{name: "no-neighbour-discovery", farm: oneBackend("snat", `"[2001:db8::1]:80"`, "b1", 0), kind: "drop",
		served: request{by: "tcp", to: "[2001:db8::1]:80", shares: shares{"b1:80": 1}, sees: "balancer", times: 1},
		says:   "drops neighbour solicitations of clients and routers",
		broken: steps{nftScript(`table inet filter2 { chain in {
			type filter hook input priority 0; policy drop; ct state established,related accept; tcp dport 22 accept
		}; }`), on{"client", "ip -6 neigh flush dev eth0"}, runs("ip -6 neigh flush dev eth1")}},
	{name: "no-neighbour-discovery-ip6tables", farm: oneBackend("snat", `"[2001:db8::1]:80"`, "b1", 0), kind: "drop",
		served: request{by: "tcp", to: "[2001:db8::1]:80", shares: shares{"b1:80": 1}, sees: "balancer", times: 1},
		says:   "ip6tables -t filter -I INPUT -p icmpv6 -j ACCEPT", needs: "ip6tables",
		broken: steps{runs("ip6tables -P INPUT DROP"), on{"client", "ip -6 neigh flush dev eth0"},
			runs("ip -6 neigh flush dev eth1")}},
	{name: "no-advertisements-of-backends", farm: oneBackend("snat", `"[2001:db8::1]:80"`, "b1", 0), kind: "drop",
		served: request{by: "tcp", to: "[2001:db8::1]:80", shares: shares{"b1:80": 1}, sees: "balancer", times: 1},
		says:   "drops neighbour advertisements of fd00:2::11",
		broken: steps{nftScript(`table inet filter2 { chain in {
			type filter hook input priority 0; iifname "eth1" icmpv6 type nd-neighbor-advert drop
		}; }`), runs("ip -6 neigh flush dev eth1")}},
	{name: "no-solicitations-at-the-link", farm: oneBackend("snat", listen6, "b1", 0), kind: "drop", served: asksSNAT6,
		says: "drops neighbour solicitations of clients and routers",
		broken: steps{nftScript(`table inet filter2 { chain in {
			type filter hook input priority 0; iifname "eth0" icmpv6 type nd-neighbor-solicit drop
		}; }`), on{"client", "ip -6 neigh flush dev eth0"}}},
	{name: "queue-that-no-program-reads", farm: oneBackend("snat", listen4, "b1", 0), served: asksSNAT4, kind: "drop",
		needs:  "iptables-nft",
		says:   "puts the forwarded packets into a queue that no program reads, so the kernel drops them (farm web)",
		broken: steps{runs("iptables-nft -I FORWARD -j NFQUEUE --queue-num 0")},
		cure:   steps{listenOnQueues(1)}},
	{name: "queue-of-iptables-without-bypass", farm: localAt8081, served: asksLocal, kind: "drop",
		needs: "iptables-nft", says: "with the flag bypass",
		broken: steps{runs("iptables-nft -I INPUT -p tcp -j NFQUEUE --queue-balance 3:5")},
		cure: steps{runs("iptables-nft -D INPUT 1; " +
			"iptables-nft -I INPUT -p tcp -j NFQUEUE --queue-balance 3:5 --queue-bypass")}},
	{name: "accept-by-a-named-set", farm: oneBackend("snat", listen1, "b1", 0), served: asksSNAT, kind: "drop",
		says: "drops the forwarded packets",
		broken: steps{nftScript(`table inet filter2 {
			set open { type inet_service; elements = { 22, 443 }; }
			set nets { type ipv4_addr; flags interval; elements = { 10.9.0.0/24 }; }
			chain forward { type filter hook forward priority 0; policy drop; ct state established accept
				tcp dport @open accept; ip daddr @nets accept; }
		}`)}},
	{name: "accept-by-the-original-port", farm: oneBackend("snat", listen1, "b1", 0), served: asksSNAT, kind: "drop",
		says: "drops the forwarded packets",
		broken: steps{nftScript(`table inet filter2 { chain forward {
			type filter hook forward priority 0; policy drop; ct state established accept
			meta l4proto tcp ct original proto-dst 443 accept
		}; }`)}},
	{name: "accept-by-the-original-port-of-iptables", farm: oneBackend("dnat", listen4, "b1", 0), served: asksDNAT4,
		kind: "drop", needs: "iptables-nft", says: "drops the forwarded packets",
		broken: steps{runs("iptables-nft -P FORWARD DROP; iptables-nft -A FORWARD -m conntrack --ctstate ESTABLISHED " +
			"-j ACCEPT; iptables-nft -A FORWARD -p tcp -m conntrack --ctorigdstport 443 -j ACCEPT")}},
	{name: "interface-by-group", farm: oneBackend("snat", listen1, "b1", 0), served: asksSNAT, kind: "drop",
		says: "drops the forwarded packets",
		broken: steps{nftScript(`table inet filter2 { chain forward {
			type filter hook forward priority 0; policy drop; ct state established accept; iifgroup 7 accept
		}; }`)}},
	{name: "interface-by-kind", farm: oneBackend("dnat", listen1, "b1", 0), served: asksDNAT, kind: "drop",
		says: "drops the forwarded packets",
		broken: steps{nftScript(`table inet filter2 { chain forward {
			type filter hook forward priority 0; policy drop; ct state established accept
			meta iifkind "bridge" accept; meta iiftype ppp accept; meta pkttype broadcast accept
		}; }`)}},
	{name: "addresses-by-a-range-of-iptables", farm: oneBackend("snat", listen4, "b1", 0), served: asksSNAT4,
		kind: "drop", needs: "iptables-nft", says: "drops the forwarded packets",
		broken: steps{runs("iptables-nft -P FORWARD DROP; iptables-nft -A FORWARD -m conntrack --ctstate ESTABLISHED " +
			"-j ACCEPT; iptables-nft -A FORWARD -m iprange --dst-range 10.9.0.1-10.9.0.9 -j ACCEPT")}},
	{name: "interface-by-index", farm: oneBackend("snat", listen1, "b1", 0), served: asksSNAT, kind: "drop",
		says: "drops the forwarded packets",
		broken: steps{nftScript(`table inet filter2 { chain forward {
			type filter hook forward priority 0; iif "eth0" oif "eth1" drop
		}; }`)}},
}

const localBackend = `
	mode   = "dnat"
	listen = ["192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"]
	[backends.proxy]
	address = ["10.2.0.1", "fd00:2::1"]
	port    = 8081
`

const twoBackendsOnePort = `
	mode   = "snat"
	listen = ["192.0.2.1:80"]
	[backends.b1]
	address = "10.2.0.11"
	[backends.b2]
	address = "10.2.0.12"
`

// transparentListener listens on the balancer for packets that tproxy hands on.
var transparentListener = stepFunc(func(s *testbed) error {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		failed := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_IPV6, unix.IPV6_TRANSPARENT, 1)
		})
		if failed != nil {
			return failed
		}
		return err
	}}
	return s.Balancer.Do(func() error {
		l, err := config.Listen(context.Background(), "tcp", "[::]:9999")
		if err == nil {
			s.t.Cleanup(func() { l.Close() })
		}
		return err
	})
})

// findingFrameCases are rules of the families bridge and arp.
var findingFrameCases = []findingCase{
	{name: "bridge-input", farm: oneBackend("snat", listen1, "b1", 0), setUp: steps{clientsByABridge}, served: asksSNAT,
		kind: "drop", says: "chain in of table bridge filter2 drops the packets of clients",
		broken: steps{nftScript(`table bridge filter2 { chain in {
			type filter hook input priority 0; tcp dport 80 drop; }; }`)}},
	{name: "bridge-input-without-bridge-netfilter", farm: oneBackend("snat", listen1, "b1", 0), served: asksSNAT,
		setUp: steps{clientsByABridge, sysctls{"net.bridge.bridge-nf-call-iptables", "0"},
			sysctls{"net.bridge.bridge-nf-call-ip6tables", "0"}},
		kind: "drop", says: "nft insert rule bridge filter2 in ip daddr 192.0.2.1 tcp dport 80 accept",
		broken: steps{nftScript(`table bridge filter2 { chain in {
			type filter hook input priority 0; tcp dport 80 drop; }; }`)}},
	{name: "bridge-prerouting", farm: oneBackend("snat", listen1, "b1", 0), setUp: steps{clientsByABridge},
		served: asksSNAT, kind: "drop",
		says: "nft insert rule bridge filter2 pre ip daddr 192.0.2.1 tcp dport 80 accept",
		broken: steps{nftScript(`table bridge filter2 { chain pre {
			type filter hook prerouting priority -300; tcp dport 80 drop; }; }`)}},
	{name: "bridge-output", farm: oneBackend("snat", listen4, "b1", 0), setUp: steps{backendsByABridge},
		served: asksSNAT4, kind: "drop", says: "drops the packets to the backends",
		broken: steps{nftScript(`table bridge filter2 { chain out {
			type filter hook output priority 0; ip daddr 10.2.0.11 drop; }; }`)}},
	{name: "bridge-answers", farm: oneBackend("dnat", listen4, "b1", 0), setUp: steps{backendsByABridge},
		served: asksDNAT4, kind: "drop", says: "drops the answers of the backends",
		broken: steps{nftScript(`table bridge filter2 { chain pre {
			type filter hook prerouting priority 0; ip saddr 10.2.0.11 tcp sport 80 drop; }; }`)}},
	{name: "ebtables", needs: "ebtables", farm: oneBackend("snat", listen4, "b1", 0), setUp: steps{clientsByABridge},
		served: asksSNAT4, kind: "drop", says: "ebtables -t filter -I INPUT -p IPv4 --ip-dst 10.2.0.11 -j ACCEPT",
		broken: steps{runs("ebtables -P INPUT DROP; ebtables -A INPUT -p ARP -j ACCEPT")}},
	{name: "ebtables-and-solicitations", needs: "ebtables", farm: oneBackend("snat", listen6, "b1", 0),
		setUp: steps{clientsByABridge}, served: asksSNAT6, kind: "drop",
		says:   "ebtables -t filter -I INPUT -p IPv6 --ip6-proto ipv6-icmp -j ACCEPT",
		broken: steps{runs("ebtables -P INPUT DROP"), on{"client", "ip -6 neigh flush dev eth0"}}},
	{name: "arp-input", farm: oneBackend("snat", listen4, "b1", 0), served: asksSNAT4, kind: "drop",
		says: "drops ARP requests for 203.0.113.1",
		broken: steps{nftScript(`table arp filter2 { chain in { type filter hook input priority 0
			iifname "eth0" arp operation request drop; }; }`), forgetNeighbours}},
	{name: "arp-replies", farm: oneBackend("snat", listen4, "b1", 0), served: asksSNAT4, kind: "drop",
		says: "drops ARP replies to 192.0.2.1",
		broken: steps{nftScript(`table arp filter2 { chain in { type filter hook input priority 0
			arp daddr ip 192.0.2.1 drop; }; }`), runs("ip neigh flush dev eth0"), forgetNeighbours}},
	{name: "arp-of-backends", farm: oneBackend("snat", listen4, "b1", 0), served: asksSNAT4, kind: "drop",
		says: "drops ARP replies of 10.2.0.11",
		broken: steps{nftScript(`table arp filter2 { chain in { type filter hook input priority 0
			iifname "eth1" arp operation reply drop; }; }`), runs("ip neigh flush dev eth1")}},
	{name: "advertisements-of-routers", farm: oneBackend("snat", listen6, "b1", 0), served: asksSNAT6, kind: "drop",
		says: "drops neighbour advertisements of clients and routers",
		broken: steps{nftScript(`table inet filter2 { chain in { type filter hook input priority 0
			iifname "eth0" icmpv6 type nd-neighbor-advert drop; }; }`), runs("ip -6 neigh flush dev eth0")}},
	{name: "advertisements-to-clients", farm: oneBackend("snat", listen6, "b1", 0), served: asksSNAT6, kind: "drop",
		says: "drops neighbour advertisements to clients and routers",
		broken: steps{nftScript(`table inet filter2 { chain out { type filter hook output priority 0
			oifname "eth0" icmpv6 type nd-neighbor-advert drop; }; }`), on{"client", "ip -6 neigh flush dev eth0"}}},
	{name: "solicitations-for-backends", farm: oneBackend("snat", listen6, "b1", 0), served: asksSNAT6, kind: "drop",
		says: "drops neighbour solicitations for fd00:2::11",
		broken: steps{nftScript(`table inet filter2 { chain out { type filter hook output priority 0
			oifname "eth1" icmpv6 type nd-neighbor-solicit drop; }; }`), runs("ip -6 neigh flush dev eth1")}},
	{name: "arp-requests-for-backends", farm: oneBackend("snat", listen4, "b1", 0), served: asksSNAT4, kind: "drop",
		says: "drops ARP requests for 10.2.0.11",
		broken: steps{nftScript(`table arp filter2 { chain out { type filter hook output priority 0
			oifname "eth1" arp operation request drop; }; }`), runs("ip neigh flush dev eth1")}},
	{name: "solicitations-at-a-bridge", farm: oneBackend("snat", listen6, "b1", 0), setUp: steps{clientsByABridge},
		served: asksSNAT6, kind: "drop", says: "drops neighbour solicitations",
		broken: steps{nftScript(`table bridge filter2 { chain in { type filter hook input priority 0
			icmpv6 type nd-neighbor-solicit drop; }; }`), on{"client", "ip -6 neigh flush dev eth0"}}},
	{name: "arptables", needs: "arptables", farm: oneBackend("snat", listen4, "b1", 0), served: asksSNAT4, kind: "drop",
		says:   "arptables -t filter -I INPUT -d 203.0.113.1 -j ACCEPT",
		broken: steps{runs("arptables -A INPUT -i eth0 -j DROP"), forgetNeighbours}},
}

// forgetNeighbours makes the client ask for the balancer's address again.
var forgetNeighbours = stepFunc(func(s *testbed) error {
	_, err := s.Client.Run(s.ctx, "", "ip", "neigh", "flush", "dev", "eth0")
	return err
})

// clientsByABridge and backendsByABridge make an interface of the balancer a port of a bridge.
var (
	clientsByABridge = runs(`ip link add br0 type bridge; ip link set eth0 master br0; ip link set br0 up
		ip address flush dev eth0; ip address add 203.0.113.1/24 dev br0; ip address add 2001:db8:f::1/64 dev br0 nodad
		ip route replace 198.51.100.0/24 via 203.0.113.2; ip route replace 2001:db8:c::/48 via 2001:db8:f::2`)
	backendsByABridge = runs(`ip link add br1 type bridge; ip link set eth1 master br1; ip link set br1 up
		ip address flush dev eth1; ip address add 10.2.0.1/24 dev br1`)
)
