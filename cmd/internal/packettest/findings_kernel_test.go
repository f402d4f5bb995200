package packettest

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"farmc/cmd/internal/netlab"

	"golang.org/x/sys/unix"
)

// Filters of tc, policies of IPsec and rules for routes are beside the rules of nf_tables.
var findingKernelCases = []findingCase{
	{name: "tc-drops-requests", farm: oneBackend("snat", listen4, "b1", 0), kind: "tc", served: asksSNAT4,
		says: "filter of tc (flower, preference 10) at the ingress of eth0 takes the packets of clients (farm web)",
		broken: steps{runs("tc qdisc add dev eth0 clsact; tc filter add dev eth0 ingress pref 10 protocol ip " +
			"flower ip_proto tcp dst_port 80 action drop")}},
	{name: "tc-drops-all", farm: oneBackend("snat", listen4, "b1", 0), kind: "tc", served: asksSNAT4,
		says: "protocol arp matchall action pass",
		broken: steps{runs("tc qdisc add dev eth0 clsact; tc filter add dev eth0 ingress matchall action drop"),
			forgetNeighbours}},
	{name: "tc-drops-all-of-IPv6", farm: oneBackend("snat", listen6, "b1", 0), kind: "tc", served: asksSNAT6,
		says: "ip_proto icmpv6 action pass",
		broken: steps{runs("tc qdisc add dev eth0 clsact; tc filter add dev eth0 ingress matchall action drop"),
			on{"client", "ip -6 neigh flush dev eth0"}}},
	{name: "tc-redirects-answers", farm: oneBackend("dnat", listen4, "b1", 0), kind: "tc", served: asksDNAT4,
		says: "at the ingress of eth1 takes the answers",
		broken: steps{runs("ip link add other type veth peer name other0; ip link set other up; " +
			"tc qdisc add dev eth1 clsact; tc filter add dev eth1 ingress pref 9 protocol ip flower ip_proto tcp " +
			"src_ip 10.2.0.0/24 action mirred egress redirect dev other")}},
	{name: "tc-drops-packets-to-backends", farm: oneBackend("snat", listen4, "b1", 0), kind: "tc", served: asksSNAT4,
		says: "at the egress of eth1 takes the packets to backends",
		broken: steps{runs("tc qdisc add dev eth1 clsact; tc filter add dev eth1 egress pref 9 protocol ip flower " +
			"ip_proto tcp dst_ip 10.2.0.11 action drop")}},
	{name: "tc-before-a-farm-at-ingress", farm: statelessAtIngress, kind: "tc", served: asksDNAT4,
		says: "at the ingress of eth0 takes the packets of clients",
		broken: steps{runs("tc qdisc add dev eth0 clsact; tc filter add dev eth0 ingress pref 10 protocol ip " +
			"flower ip_proto tcp dst_ip 192.0.2.1 action drop")}},
	{name: "tc-of-the-first-preference", farm: oneBackend("snat", listen4, "b1", 0), kind: "tc", served: asksSNAT4,
		says: "its preference leaves no room before it",
		broken: steps{runs("tc qdisc add dev eth0 clsact; tc filter add dev eth0 ingress pref 1 protocol ip " +
			"flower dst_ip 192.0.2.1 action drop")},
		cure: steps{runs("tc filter del dev eth0 ingress pref 1")}},
	{name: "ipsec-blocks-requests", farm: oneBackend("snat", listen4, "b1", 0), kind: "ipsec", served: asksSNAT4,
		says:   "a policy of IPsec (ip xfrm policy, dir fwd, priority 100) blocks the packets to 192.0.2.1:80",
		broken: steps{runs("ip xfrm policy add src 0.0.0.0/0 dst 192.0.2.0/24 dir fwd priority 100 action block")}},
	{name: "ipsec-blocks-answers-to-this-machine", farm: oneBackend("snat", listen4, "b1", 0), kind: "ipsec",
		served: asksSNAT4, says: "src 10.2.0.11/32 dst 10.2.0.1/32 proto tcp sport 80 dir fwd priority 8",
		broken: steps{runs("ip xfrm policy add src 0.0.0.0/0 dst 10.2.0.0/24 dir fwd priority 9 action block")}},
	{name: "ipsec-blocks-stateless", farm: statelessInBothDirections, kind: "ipsec", served: asksDNAT4,
		says:   "blocks the packets to 10.2.0.11:80",
		broken: steps{runs("ip xfrm policy add src 0.0.0.0/0 dst 10.2.0.11/32 dir fwd priority 9 action block")}},
	{name: "ipsec-blocks-answers-of-IPv6", farm: oneBackend("dnat", listen6, "b1", 0), kind: "ipsec",
		served: request{by: "tcp", to: "[2001:db8::1]:80", shares: shares{"b1:80": 1}, times: 1},
		says:   "blocks the answers from [fd00:2::11]:80",
		broken: steps{runs("ip xfrm policy add src fd00:2::/64 dst ::/0 dir fwd priority 5 action block")}},
	{name: "ipsec-blocks-packets-on-their-way-out", farm: oneBackend("dnat", listen4, "b1", 0), kind: "ipsec",
		served: asksDNAT4, says: "dir out, priority 7",
		broken: steps{runs("ip xfrm policy add src 0.0.0.0/0 dst 10.2.0.11/32 dir out priority 7 action block")}},
	{name: "ipsec-blocks-local-farms", farm: localAt8081, kind: "ipsec", served: asksLocal,
		says:   "dir in, priority 0",
		broken: steps{runs("ip xfrm policy add src 0.0.0.0/0 dst 192.0.2.1/32 dir in action block")},
		cure:   steps{runs("ip xfrm policy flush")}},
	{name: "no-IPv6-on-a-link", farm: oneBackend("snat", `"[2001:db8::1]:80"`, "b1", 0), kind: "link-ipv6",
		served: request{by: "tcp", to: "[2001:db8::1]:80", shares: shares{"b1:80": 1}, sees: "balancer", times: 1},
		says:   "IPv6 is disabled on eth0 (disable_ipv6=1): it takes no packets of clients",
		broken: steps{sysctls{"net.ipv6.conf.eth0.disable_ipv6", "1"}},
		after: steps{runs("ip address add 2001:db8:f::1/64 dev eth0 nodad; " +
			"ip -6 route replace 2001:db8:c::/48 via 2001:db8:f::2")}},
	{name: "no-IPv6-by-the-MTU-of-a-link", farm: oneBackend("snat", listen6, "b1", 0), kind: "link-ipv6",
		served: asksSNAT6, says: "eth0 has no IPv6, because its MTU is 1200: it takes no packets of clients",
		broken: steps{runs("ip link set dev eth0 mtu 1200")},
		after: steps{runs("ip address add 2001:db8:f::1/64 dev eth0 nodad; " +
			"ip -6 route replace 2001:db8:c::/48 via 2001:db8:f::2")}},
	{name: "no-arp-on-the-link-of-clients", farm: localAt8081, kind: "silent-link", served: asksLocal,
		says:   "ARP is turned off on eth0 (NOARP)",
		broken: steps{runs("ip link set dev eth0 arp off"), forgetNeighbours}},
	{name: "no-arp-on-the-link-of-backends", farm: oneBackend("dnat", listen4, "b1", 0), kind: "silent-link",
		served: asksDNAT4, says: "ip link set dev eth1 arp on",
		broken: steps{runs("ip link set dev eth1 arp off")}},
	{name: "no-arp-on-the-link-of-clients-of-IPv6", farm: oneBackend("snat", listen6, "b1", 0), kind: "silent-link",
		served: asksSNAT6, says: "ARP is turned off on eth0 (NOARP)",
		broken: steps{runs("ip link set dev eth0 arp off"), on{"client", "ip -6 neigh flush dev eth0"}}},
	{name: "no-answers-to-arp", farm: oneBackend("snat", listen4, "b1", 0), kind: "silent-link", served: asksSNAT4,
		says:   "this machine answers no ARP requests on eth0 (arp_ignore=8)",
		broken: steps{sysctls{"net.ipv4.conf.all.arp_ignore", "8"}, forgetNeighbours}},
	{name: "no-forwarding-beside-the-route-of-an-advertisement", kind: "forwarding",
		farm:   oneBackend("snat", `"[2001:db8::1]:80"`, "b1", 0),
		served: request{by: "tcp", to: "[2001:db8::1]:80", shares: shares{"b1:80": 1}, sees: "balancer", times: 1},
		says:   "sysctl -w net.ipv6.conf.eth0.accept_ra=2; sysctl -w net.ipv6.conf.all.forwarding=1",
		broken: steps{sysctls{"net.ipv6.conf.all.forwarding", "0"}, sysctls{"net.ipv6.conf.eth0.accept_ra", "1"},
			on{"client", "ip address add fe80::2/64 dev eth0 nodad"}, stepFunc(advertiseRouter)},
		after: steps{runs("ip -6 route show default | grep 'proto ra'")}},
	{name: "rule-prohibits-requests", farm: oneBackend("snat", listen4, "b1", 0), kind: "routing-rule",
		served: asksSNAT4, says: "ip rule add pref 1 iif eth0 to 10.2.0.11 lookup main",
		broken: steps{runs("ip rule add pref 500 iif eth0 to 10.2.0.0/24 prohibit")}},
	{name: "rule-blackholes-answers", farm: oneBackend("dnat", listen4, "b1", 0), kind: "routing-rule",
		served: asksDNAT4, says: "a rule for routes (ip rule) refuses the answers that come in at eth1 (farm web)",
		broken: steps{runs("ip rule add pref 500 from 10.2.0.0/24 blackhole")}},
	{name: "rule-to-a-table-that-refuses", farm: oneBackend("snat", listen4, "b1", 0), kind: "routing-rule",
		served: asksSNAT4, says: "refuses the answers",
		broken: steps{runs("ip route add unreachable default table 77; ip rule add pref 900 iif eth1 lookup 77")}},
	{name: "rule-prohibits-answers-of-IPv6", farm: oneBackend("snat", listen6, "b1", 0), kind: "routing-rule",
		served: asksSNAT6, says: "ip -6 rule add pref 1 iif eth1 from fd00:2::11 lookup main",
		broken: steps{runs("ip -6 rule add pref 500 from fd00:2::/64 prohibit")}},
	{name: "rule-prohibits-answers-of-this-machine", farm: localAt8081, kind: "routing-rule", served: asksLocal,
		says:   "refuses the answers (farm web)",
		broken: steps{runs("ip rule add pref 500 from 192.0.2.1 prohibit")}},
}

// advertiseRouter makes the client the router of a default route of the balancer, by a router advertisement (RFC 4861,
// 4.2): only such a route ends when the kernel begins to forward.
func advertiseRouter(s *testbed) error {
	err := s.Client.Do(func() error {
		link, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		scoped := func(a string) unix.Sockaddr {
			return &unix.SockaddrInet6{Addr: netip.MustParseAddr(a).As16(), ZoneId: uint32(link.Index)}
		}
		const advertisement, hopLimit, lifetime = 134, 64, "\x07\x08" // half an hour
		message := append([]byte{advertisement, 0, 0, 0, hopLimit, 0}, lifetime+"\x00\x00\x00\x00\x00\x00\x00\x00"...)
		return errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255),
			unix.Bind(fd, scoped("fe80::2")), unix.Sendto(fd, message, 0, scoped("ff02::1")))
	})
	if err != nil {
		return err
	}
	return runs("for try in $(seq 100); do ip -6 route show default | grep -q 'proto ra' && exit; sleep 0.1; done; " +
		"exit 1").do(s)
}

// quietFilters are filters, policies and rules for other packets: a kind of finding, and commands.
var quietFilters = map[string]struct{ not, state string }{
	"tc-of-others": {"tc", "tc qdisc add dev eth0 clsact; tc filter add dev eth0 ingress pref 9 protocol ip flower " +
		"ip_proto tcp dst_port 81 action drop; tc filter add dev eth0 ingress pref 8 protocol ip flower " +
		"src_ip 198.51.99.0/24 action drop; " +
		"tc filter add dev eth0 egress pref 7 protocol ipv6 matchall action drop"},
	"tc-passes-first": {"tc", "tc qdisc add dev eth0 clsact; " +
		"tc filter add dev eth0 ingress pref 9 protocol ip flower " +
		"ip_proto tcp dst_port 80 action pass; " +
		"tc filter add dev eth0 ingress pref 10 protocol ip matchall action drop"},
	"tc-shapes": {"tc", "tc qdisc add dev eth1 clsact; tc filter add dev eth1 egress pref 9 matchall action pass; " +
		"tc qdisc add dev eth0 root pfifo limit 1000"},
	"ipsec-of-others": {"ipsec", "ip xfrm policy add src 10.9.0.0/24 dst 192.0.2.0/24 dir fwd priority 9 " +
		"action block; " +
		"ip xfrm policy add src 0.0.0.0/0 dst 192.0.2.0/24 proto udp dir fwd priority 9 action block; " +
		"ip xfrm policy add src 10.2.0.0/24 dst 10.9.0.0/24 dir fwd priority 9 action block"},
	"ipsec-passes-first": {"ipsec", "ip xfrm policy add src 0.0.0.0/0 dst 192.0.2.1/32 dir fwd priority 8; " +
		"ip xfrm policy add src 0.0.0.0/0 dst 192.0.2.0/24 dir fwd priority 9 action block"},
	"rules-of-others": {"routing-rule", "ip rule add pref 500 from 10.9.0.0/24 prohibit; " +
		"ip rule add pref 501 fwmark 0xca6c blackhole; " +
		"ip rule add pref 502 iif eth1 lookup main"},
	"rules-of-wg-quick": {"routing-rule", "ip rule add pref 32764 not fwmark 51820 table 51820; " +
		"ip rule add pref 32763 table main suppress_prefixlength 0"},
	"rules-behind-main": {"routing-rule", "ip rule add pref 32800 from 10.2.0.0/24 prohibit"},
}

// Filters, policies and rules for other packets are no finding.
func TestNoFindingsOfTheKernel(t *testing.T) {
	t.Parallel()
	for name, q := range quietFilters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if q.not == "tc" {
				needsFilters(t)
			}
			c := quietCase{farm: oneBackend("snat", listen4, "b1", 0), state: steps{runs(q.state)}, ask: asksSNAT4}
			c.play(t)
		})
	}
}

// needsFilters skips a test if the kernel has no filters of tc of the kinds matchall and flower, or no action for them.
func needsFilters(t *testing.T) {
	t.Helper()
	needs(t, "tc")
	s := netlab.Test(t, netlab.Options{Backends: 1})
	const probe = "tc qdisc add dev eth0 clsact && " +
		"tc filter add dev eth0 ingress pref 9 protocol ip flower action drop && " +
		"tc filter add dev eth0 ingress pref 8 protocol ip matchall action drop"
	if _, err := s.Balancer.Run(t.Context(), "", "bash", "-c", probe); err != nil {
		t.Skip("no filters of tc here:", err)
	}
}
