package packettest

import (
	"os"
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"

	"github.com/vishvananda/netlink"
)

// on is a command of the shell on another machine.
type on struct{ machine, command string }

func (c on) do(s *testbed) error {
	_, err := s.machine(c.machine).Run(s.ctx, "", "sh", "-c", c.command)
	return err
}

const (
	listen4 = `"192.0.2.1:80"`
	listen6 = `"[2001:db8::1]:80"`
)

// asksSNAT6 asks the service over IPv6 only.
var asksSNAT6 = request{by: "tcp", to: "[2001:db8::1]:80", shares: shares{"b1:80": 1}, sees: "balancer", times: 1}

// connected is a service in the network between client and balancer, asked from an address there.
var connected = request{by: "tcp", to: "203.0.113.50:80", as: "203.0.113.2", shares: shares{"b1:80": 1},
	sees: "balancer", times: 1}

var findingMachineCases = []findingCase{
	{name: "address-of-another-machine", farm: oneBackend("snat", `"[fd00:2::77]:80"`, "b1", 0), kind: "duplicate",
		passes: true, before: true, served: nothingAsked,
		says: "another machine on the link of eth1 has fd00:2::77",
		broken: steps{on{"b2", "ip address add fd00:2::77/64 dev eth0 nodad"},
			sysctls{"net.ipv6.conf.eth1.accept_dad", "1"},
			runs("ip address add fd00:2::77/64 dev eth1; while ip address show tentative | grep -q 77/64 && " +
				"! ip address show dadfailed | grep -q 77/64; do sleep 0.1; done")},
		cure: steps{on{"b2", "ip address delete fd00:2::77/64 dev eth0"},
			runs("ip address delete fd00:2::77/64 dev eth1; ip address add fd00:2::77/64 dev eth1 nodad")}},
	{name: "no-arp-for-an-address", farm: oneBackend("snat", `"203.0.113.50:80"`, "b1", 0), kind: "unanswered",
		setUp: steps{widerLink, runs("ip address add 203.0.113.50/32 dev lo")}, served: connected,
		says:   "203.0.113.50 is on lo, in the network of eth0, and the kernel does not answer ARP requests",
		broken: steps{sysctls{"net.ipv4.conf.eth0.arp_ignore", "1"}, forgetNeighbours}},
	{name: "no-neighbour-discovery-for-an-address", farm: oneBackend("snat", `"[2001:db8:f::50]:80"`, "b1", 0),
		kind: "unanswered", setUp: steps{runs("ip address add 2001:db8:f::50/128 dev eth0 nodad")},
		served: request{by: "tcp", to: "[2001:db8:f::50]:80", as: "2001:db8:f::2", shares: shares{"b1:80": 1},
			sees: "balancer", times: 1},
		says: "does not answer neighbour solicitations",
		broken: steps{runs("ip address delete 2001:db8:f::50/128 dev eth0; " +
			"ip address add 2001:db8:f::50/128 dev lo nodad"),
			on{"client", "ip -6 neigh flush dev eth0"}}},
	{name: "no-route-to-a-backend", farm: oneBackend("snat", listen4, "b1", 0), kind: "backend", served: asksSNAT4,
		says:   "backend b1: this machine has no route to 10.2.0.11",
		broken: steps{runs("ip route delete 10.2.0.0/24")},
		cure:   steps{runs("ip route add 10.2.0.0/24 dev eth1 src 10.2.0.1")}},
	{name: "link-of-a-backend-down", farm: oneBackend("snat", listen4, "b1", 0), kind: "backend", served: asksSNAT4,
		says:   "backend b1: eth1, the interface in the network of 10.2.0.11, is down",
		broken: steps{runs("ip link set dev eth1 down")}},
	{name: "blackhole", farm: oneBackend("snat", listen4, "b1", 0), kind: "backend", served: asksSNAT4,
		says:   "backend b1: this machine has no route to 10.2.0.11",
		broken: steps{runs("ip route add blackhole 10.2.0.11/32")},
		cure:   steps{runs("ip route delete blackhole 10.2.0.11/32")}},
	{name: "network-of-backends-on-lo", farm: oneBackend("snat", listen4, "b1", 0), kind: "local-network",
		served: asksSNAT4,
		says:   "this machine takes packets for 10.2.0.0/24, the network of eth1, for its own (farm web)",
		broken: steps{runs("ip address add 10.2.0.50/24 dev lo")}},
	{name: "network-of-clients-on-lo", farm: localAt8081, kind: "local-network",
		served: request{by: "tcp", to: "192.0.2.1:8081", as: "203.0.113.77", shares: shares{"balancer:8081": 1},
			times: 1},
		says:   "ip address add 203.0.113.5/32 dev lo; ip address delete 203.0.113.5/24 dev lo",
		setUp:  steps{widerLink, on{"client", "ip address add 203.0.113.77/32 dev eth0"}},
		broken: steps{runs("ip address add 203.0.113.5/24 dev lo"), forgetNeighbours}},
	{name: "local-route-to-a-network-of-backends", farm: oneBackend("dnat", listen4, "b1", 0), kind: "local-network",
		served: asksDNAT4, says: "ip route delete local 10.2.0.0/24",
		broken: steps{runs("ip route add local 10.2.0.0/24 dev lo")}},
	{name: "silent-backend", farm: oneBackend("snat", listen4, "b1", 0), kind: "backend", served: asksSNAT4,
		says: "backend b1: 10.2.0.11 does not answer on the link of eth1",
		broken: steps{on{"b1", "ip link set eth0 down"}, runs("ip neigh flush dev eth1"),
			runs("echo > /dev/udp/10.2.0.11/9; until ip neigh show | grep -q '10.2.0.11.*FAILED'; do sleep 0.1; done")},
		cure: steps{on{"b1", "ip link set eth0 up; ip route add default via 10.2.0.1"},
			runs("echo > /dev/udp/10.2.0.11/9; " +
				"until ip neigh show | grep -q '10.2.0.11.*lladdr'; do sleep 0.1; done")}},
	{name: "source-address-nowhere", kind: "source-address", served: request{by: "tcp", to: "192.0.2.1:80",
		shares: shares{"b1:80": 1}, sees: "192.0.2.77", times: 1},
		farm:   oneBackend("snat", listen4, "b1", 0, `source-address = "192.0.2.77"`),
		setUp:  steps{runs("ip address add 192.0.2.77/32 dev lo")},
		passes: true, // the balancer is the backends' gateway
		says:   "source-address 192.0.2.77 is on no interface of this machine",
		broken: steps{runs("ip address delete 192.0.2.77/32 dev lo")}},
	{name: "blackhole-of-IPv6", farm: oneBackend("snat", listen6, "b1", 0), kind: "backend", served: asksSNAT6,
		says:   "backend b1: this machine has no route to fd00:2::11",
		broken: steps{runs("ip route add blackhole fd00:2::11/128")},
		cure:   steps{runs("ip route delete blackhole fd00:2::11/128")}},
	{name: "silent-backend-of-IPv6", farm: oneBackend("snat", listen6, "b1", 0), kind: "backend", served: asksSNAT6,
		says: "backend b1: fd00:2::11 does not answer on the link of eth1",
		broken: steps{on{"b1", "ip link set eth0 down"}, runs("ip -6 neigh flush dev eth1"),
			runs("echo > /dev/udp/fd00:2::11/9; " +
				"until ip neigh show | grep -q 'fd00:2::11.*FAILED'; do sleep 0.1; done")},
		cure: steps{on{"b1", "ip link set eth0 up; ip address replace fd00:2::11/64 dev eth0 nodad; " +
			"ip route replace default via fd00:2::1"},
			runs("echo > /dev/udp/fd00:2::11/9; " +
				"until ip neigh show | grep -q 'fd00:2::11.*lladdr'; do sleep 0.1; done")}},
	{name: "interface-absent", farm: oneBackend("snat", listen4, "b1", 0, `interfaces = ["eth0"]`), kind: "interface",
		served: asksSNAT4, says: "interfaces: this machine has no interface eth0",
		broken: steps{runs("ip link set eth0 down; ip link set eth0 name wan0; ip link set wan0 up; " +
			"ip route add 198.51.100.0/24 via 203.0.113.2")},
		cure: steps{farms{"web": oneBackend("snat", listen4, "b1", 0, `interfaces = ["wan0"]`)}}},
	{name: "interface-renamed", farm: oneBackend("snat", listen4, "b1", 0, `interfaces = ["eth0"]`), kind: "interface",
		served: asksSNAT4, says: `interfaces: eth0 is another name of wan0, and packets have the first name only`,
		broken: steps{runs("ip link set eth0 down; ip link set eth0 name wan0; ip link set wan0 up; " +
			"ip link property add dev wan0 altname eth0; ip route add 198.51.100.0/24 via 203.0.113.2")},
		cure: steps{farms{"web": oneBackend("snat", listen4, "b1", 0, `interfaces = ["wan0"]`)}}},
	{name: "port-of-a-bridge", farm: oneBackend("snat", listen4, "b1", 0, `interfaces = ["eth0"]`), kind: "interface",
		served: asksSNAT4, says: `interfaces: eth0 is a port of br0, and IP packets of a port come in at the bridge`,
		broken: steps{clientsByABridge},
		cure:   steps{farms{"web": oneBackend("snat", listen4, "b1", 0, `interfaces = ["br0"]`)}}},
	{name: "macvlan", farm: oneBackend("snat", `"203.0.113.50:80"`, "b1", 0, `interfaces = ["eth0"]`),
		kind: "interface", served: connected, says: "interfaces: eth0 carries vrrp51, which has an address of the farm",
		setUp: steps{widerLink, runs("ip address add 203.0.113.50/32 dev eth0")},
		broken: steps{runs("ip address delete 203.0.113.50/32 dev eth0; " +
			"ip link add link eth0 name vrrp51 type macvlan; " +
			"ip address add 203.0.113.50/32 dev vrrp51; ip link set vrrp51 up"),
			sysctls{"net.ipv4.conf.eth0.arp_ignore", "1"}, forgetNeighbours},
		cure: steps{farms{"web": oneBackend("snat", `"203.0.113.50:80"`, "b1", 0, `interfaces = ["vrrp51"]`)}}},
	{name: "backend-is-a-service", farm: oneBackend("snat", listen4, "b1", 0), kind: "loop", served: asksSNAT4,
		says: "backend b1: 192.0.2.2 is the service of farm other, and a packet is handed on only once",
		broken: steps{farms{"web": `
			mode = "snat"
			listen = ["192.0.2.1:80"]
			[backends.b1]
			address = "192.0.2.2"
			port = 8999
		`, "other": oneBackend("snat", `"192.0.2.2:8999"`, "b1", 80)}},
		cure: steps{farms{"web": oneBackend("snat", listen4, "b1", 0),
			"other": oneBackend("snat", `"192.0.2.2:8999"`, "b1", 80)}}},
	{name: "rp-filter", farm: oneBackend("snat", listen4, "b1", 0), kind: "rp-filter", served: asksSNAT4,
		setUp:  steps{secondUplink},
		says:   "eth9 drops packets of clients to which the route leads out of another interface (rp_filter)",
		broken: steps{sysctls{"net.ipv4.conf.eth9.rp_filter", "1"}}},
	{name: "rp-filter-beside-routes-to-both-halves", farm: oneBackend("snat", listen4, "b1", 0), kind: "rp-filter",
		served: asksSNAT4, setUp: steps{secondUplink, runs("ip route delete default dev eth0; " +
			"ip route add 0.0.0.0/1 via 203.0.113.2; ip route add 128.0.0.0/1 via 203.0.113.2")}, // as OpenVPN does
		says:   "eth9 drops packets of clients to which the route leads out of another interface (rp_filter)",
		broken: steps{sysctls{"net.ipv4.conf.eth9.rp_filter", "1"}}},
	{name: "rp-filter-beside-the-table-of-wg-quick", farm: oneBackend("snat", listen4, "b1", 0), kind: "rp-filter",
		served: asksSNAT4, setUp: steps{secondUplink, runs("ip route delete default dev eth0; " +
			"ip route add default via 203.0.113.2 table 51820; ip rule add not fwmark 51820 table 51820; " +
			"ip rule add table main suppress_prefixlength 0")},
		says:   "eth9 drops packets of clients to which the route leads out of another interface (rp_filter)",
		broken: steps{sysctls{"net.ipv4.conf.eth9.rp_filter", "1"}}},
	{name: "rp-filter-of-a-local-farm-beside-a-half", farm: localAt8081, kind: "rp-filter",
		served: asksLocal, setUp: steps{secondUplink, runs("ip route delete default dev eth0; " +
			"ip route add 128.0.0.0/1 via 203.0.113.2")},
		says:   "eth9 drops packets of clients to which the route leads out of another interface (rp_filter)",
		broken: steps{sysctls{"net.ipv4.conf.eth9.rp_filter", "1"}}},
	{name: "rp-filter-of-backends", farm: oneBackend("snat", listen4, "b1", 0), kind: "rp-filter", served: asksSNAT4,
		passes: true, says: "eth9 drops packets of backends",
		setUp: steps{secondUplink},
		broken: steps{runs("ip route delete default dev eth9; ip address add 10.2.0.9/24 dev eth9"),
			sysctls{"net.ipv4.conf.eth9.rp_filter", "1"}}},
	{name: "rp-filter-beside-own-rules", farm: oneBackend("snat", listen4, "b1", 0), kind: "rp-filter",
		served: asksSNAT4, setUp: steps{secondUplink, runs("ip rule add from 192.0.2.1 lookup 100; " +
			"ip rule add fwmark 7 lookup 100; ip route add default via 203.0.114.2 table 100")},
		says:   "eth9 drops packets of clients to which the route leads out of another interface (rp_filter)",
		broken: steps{sysctls{"net.ipv4.conf.eth9.rp_filter", "1"}}},
	{name: "rp-filter-of-backends-beside-own-rules", farm: oneBackend("snat", listen4, "b1", 0), kind: "rp-filter",
		served: asksSNAT4, passes: true, says: "eth9 drops packets of backends",
		setUp: steps{secondUplink, runs("ip rule add from 10.9.0.1 lookup 100")},
		broken: steps{runs("ip route delete default dev eth9; ip address add 10.2.0.9/24 dev eth9"),
			sysctls{"net.ipv4.conf.eth9.rp_filter", "1"}}},
	{name: "redirects", farm: statelessInBothDirections, kind: "redirects", lab: netlab.Options{OneArmed: true},
		setUp: steps{on{"client", "ip address add 198.51.100.9/32 dev lo"},
			runs("ip route add 198.51.100.0/24 via 10.2.0.100"),
			on{"b1", "sysctl -qw net.ipv4.conf.all.accept_redirects=1 net.ipv4.conf.eth0.accept_redirects=1"}},
		served: request{by: "tcp", to: "192.0.2.1:80", as: "198.51.100.9", shares: shares{"b1:80": 1}, times: 3},
		says:   "this machine tells backends on eth0 to send their answers past it (send_redirects)",
		broken: steps{sysctls{"net.ipv4.conf.all.send_redirects", "1"},
			sysctls{"net.ipv4.conf.eth0.send_redirects", "1"}},
		after: steps{on{"b1", "ip route flush cache"}}},
}

// widerLink makes addresses up to 203.0.113.254 neighbours of client and balancer.
var widerLink = steps{runs("ip address add 203.0.113.9/24 dev eth0"),
	on{"client", "ip route add 203.0.113.0/24 dev eth0"}}

// secondUplink is a second link between client and balancer, with the worse default route of the balancer. The client
// sends by it, and gets its answers by the first one.
var secondUplink = stepFunc(func(s *testbed) error {
	var client *os.File
	err := s.Client.Do(func() (err error) {
		client, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		return err
	}
	defer client.Close()
	err = s.Balancer.Do(func() error {
		return netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth9"}, PeerName: "eth9",
			PeerNamespace: netlink.NsFd(client.Fd())})
	})
	if err != nil {
		return err
	}
	return steps{
		runs(`ip address add 203.0.114.1/30 dev eth9; ip link set eth9 up
			ip route delete 198.51.100.0/24; ip route add default via 203.0.113.2 metric 10`),
		on{"client", "ip address add 203.0.114.2/30 dev eth9; ip link set eth9 up; " +
			"ip route replace default via 203.0.114.1"},
		runs("ip route add default via 203.0.114.2 metric 20"),
	}.do(s)
})

// Rules and policies of iptables-legacy are named, because nf_tables does not show them.
func TestFindingsOfLegacy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		farm                   string
		program, breaks, mends string
		served                 request
	}{
		"rule": {oneBackend("snat", listen4, "b1", 0), "iptables-legacy", "-A FORWARD -p tcp --dport 80 -j DROP",
			"-D FORWARD -p tcp --dport 80 -j DROP", asksSNAT4},
		"policy": {oneBackend("snat", listen4, "b1", 0), "iptables-legacy", "-P FORWARD DROP", "-P FORWARD ACCEPT",
			asksSNAT4},
		"rule-of-IPv6": {oneBackend("snat", listen6, "b1", 0), "ip6tables-legacy",
			"-A FORWARD -p tcp --dport 80 -j DROP", "-F FORWARD", asksSNAT6},
		"policy-of-IPv6": {oneBackend("snat", listen6, "b1", 0), "ip6tables-legacy", "-P FORWARD DROP",
			"-P FORWARD ACCEPT", asksSNAT6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			needs(t, c.program)
			s := newTestbed(t, netlab.Options{})
			must(t, farms{"web": c.farm}.do(s))
			must(t, runs(c.program+" -nL; "+c.program+" -t nat -nL; "+c.program+" -t mangle -nL").do(s)) // makes tables
			must(t, c.served.do(s))
			if found, err := s.found(); len(found) > 0 || err != nil {
				t.Fatalf("found %v before, %v", found, err)
			}
			must(t, runs(c.program+" "+c.breaks).do(s))
			if (findingCase{served: c.served}).connects(s) {
				t.Error("packets pass in spite of the rule")
			}
			found, err := s.found()
			if err != nil || len(found) != 1 ||
				!strings.HasPrefix(found[0].Text(), c.program+" has rules in table filter,") ||
				!strings.Contains(found[0].Hint(), c.program+"-save") {
				t.Errorf("found %+v, %v", found, err)
			}
			must(t, runs(c.program+" "+c.mends).do(s))
			must(t, c.served.do(s))
			if found, err := s.found(); len(found) > 0 || err != nil {
				t.Errorf("found %v after the remedy, %v", found, err)
			}
		})
	}
}

// otherLink is a link of the balancer that no packets of farms pass.
var otherLink = runs("ip link add eth7 type veth peer name eth8; ip link set eth8 up; ip link set eth7 up")

// quietStates are states of the machine that do no harm to the farm.
var quietStates = map[string]quietCase{
	"forwarding-of-single-links": {"forwarding", oneBackend("snat", listen4, "b1", 0), steps{sysctls{
		"net.ipv4.ip_forward", "0"}, sysctls{"net.ipv4.conf.eth0.forwarding", "1"},
		sysctls{"net.ipv4.conf.eth1.forwarding", "1"}}, asksSNAT4},
	"forwarding-of-single-links-in-IPv6": {"forwarding", oneBackend("snat", listen6, "b1", 0), steps{runs(`
		cd /proc/sys/net/ipv6/conf; echo 0 > all/forwarding
		if [ -e eth0/force_forwarding ]
		then echo 1 > eth0/force_forwarding; echo 1 > eth1/force_forwarding
		else echo 1 > all/forwarding # Linux 6.16 and older
		fi`)}, asksSNAT6},
	"no-arp-on-other-links": {"silent-link", oneBackend("snat", listen4, "b1", 0), steps{otherLink,
		runs("ip link set dev eth7 arp off; " +
			"sysctl -qw net.ipv4.conf.eth7.arp_ignore=8 net.ipv4.conf.eth1.arp_ignore=8")},
		asksSNAT4},
	"neighbours-written-by-hand": {"silent-link", oneBackend("snat", listen4, "b1", 0), steps{runs(`
		until ip neigh show 10.2.0.11 dev eth1 | grep -q lladdr; do echo > /dev/udp/10.2.0.11/9; sleep 0.05; done
		mac=$(ip neigh show 10.2.0.11 dev eth1 | grep -o '..:..:..:..:..:..')
		ip link set dev eth1 arp off; ip neigh replace 10.2.0.11 lladdr $mac nud permanent dev eth1`)}, asksSNAT4},
	"wider-network-on-lo": {"local-network", oneBackend("snat", listen4, "b1", 0), steps{
		runs("ip address add 10.2.7.1/16 dev lo; ip address add 203.0.113.5/29 dev lo")}, asksSNAT4},
	"networks-of-services-on-lo": {"local-network", oneBackend("snat", listen4, "b1", 0), steps{
		runs("ip address add 192.0.2.100/24 dev lo; ip route add local 10.9.0.0/16 dev lo")}, asksSNAT4},
	"one-zone": {"zone", oneBackend("snat", listen4, "b1", 0), steps{nftScript(`table inet early { chain pre {
		type filter hook prerouting priority raw; iifname { "eth0", "eth1" } ct zone set 5; }; }`)}, asksSNAT4},
	"zone-of-others": {"zone", oneBackend("snat", listen4, "b1", 0), steps{nftScript(`table inet early { chain pre {
		type filter hook prerouting priority raw; iifname "eth7" ct zone set 5; }; }`)}, asksSNAT4},
	"notrack-of-others": {"notrack", oneBackend("snat", listen4, "b1", 0), steps{nftScript(`table inet early {
		chain pre { type filter hook prerouting priority raw; udp dport 53 notrack; ip daddr 192.0.2.9 notrack; }; }`)},
		asksSNAT4},
	"synproxy-of-others": {"proxy", oneBackend("snat", listen4, "b1", 0), steps{nftScript(`table inet proxy {
		chain in { type filter hook input priority 0
			tcp dport 80 ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm; }
	}`)}, asksSNAT4},
	"tproxy-of-others": {"proxy", oneBackend("snat", listen4, "b1", 0), steps{transparentListener, nftScript(`
		table inet proxy { chain pre { type filter hook prerouting priority mangle
			iifname "eth7" meta nfproto ipv4 tcp dport 80 tproxy ip to :9999 accept; }; }`)}, asksSNAT4},
	"arp-of-others": {"drop", oneBackend("snat", listen4, "b1", 0), steps{forgetNeighbours, nftScript(`
		table arp filter2 { chain in { type filter hook input priority 0
			arp daddr ip 192.0.2.9 drop; arp saddr ip 10.9.0.1 drop; }; }`)}, asksSNAT4},
	"bridge-of-others": {"drop", oneBackend("snat", listen4, "b1", 0), steps{clientsByABridge, nftScript(`
		table bridge filter2 {
		chain in { type filter hook input priority 0; ip daddr 192.0.2.9 drop; ether type 0x88cc drop; }
		chain forward { type filter hook forward priority 0; policy drop; }
	}`)}, asksSNAT4},
	"arp-ignore-with-a-routed-service": {"unanswered", oneBackend("snat", listen4, "b1", 0), steps{
		sysctls{"net.ipv4.conf.all.arp_ignore", "1"}, forgetNeighbours}, asksSNAT4},
	"address-on-two-interfaces": {"unanswered", oneBackend("snat", `"203.0.113.50:80"`, "b1", 0), steps{widerLink,
		runs("ip address add 203.0.113.50/32 dev lo; ip address add 203.0.113.50/32 dev eth0"),
		sysctls{"net.ipv4.conf.eth0.arp_ignore", "1"}}, connected},
	"loopback-of-no-farm": {"loopback", oneBackend("snat", listen4, "b1", 0), steps{
		sysctls{"net.ipv4.conf.all.route_localnet", "0"}}, asksSNAT4},
	"loose-rp-filter": {"rp-filter", oneBackend("snat", listen4, "b1", 0), steps{secondUplink,
		sysctls{"net.ipv4.conf.all.rp_filter", "2"}, sysctls{"net.ipv4.conf.eth9.rp_filter", "1"}}, asksSNAT4},
	"strict-rp-filter-with-own-rules": {"rp-filter", oneBackend("snat", listen4, "b1", 0), steps{secondUplink,
		runs("ip rule add to 10.2.0.0/24 lookup main pref 31000; " +
			"ip rule add from 10.2.0.0/24 lookup 100 pref 32000; ip route add default via 203.0.114.2 table 100"),
		on{"client", "sysctl -qw net.ipv4.conf.eth9.arp_announce=2"}, // as a router asks
		sysctls{"net.ipv4.conf.eth9.rp_filter", "1"}}, asksSNAT4},
	"loose-rp-filter-beside-routes-to-both-halves": {"rp-filter", oneBackend("snat", listen4, "b1", 0), steps{
		secondUplink, runs("ip route delete default dev eth0; " +
			"ip route add 0.0.0.0/1 via 203.0.113.2; ip route add 128.0.0.0/1 via 203.0.113.2"),
		sysctls{"net.ipv4.conf.eth0.rp_filter", "1"}, sysctls{"net.ipv4.conf.eth9.rp_filter", "2"}}, asksSNAT4},
	"strict-rp-filter-of-an-inner-link": {"rp-filter", oneBackend("snat", listen4, "b1", 0), steps{addDefaultRoutes,
		runs("ip route add 10.9.0.0/16 via 10.2.0.11"),
		sysctls{"net.ipv4.conf.all.rp_filter", "1"}}, asksSNAT4},
	"strict-rp-filter-of-the-best-uplink": {"rp-filter", oneBackend("snat", listen4, "b1", 0), steps{addDefaultRoutes,
		sysctls{"net.ipv4.conf.eth0.rp_filter", "1"}, sysctls{"net.ipv4.conf.eth1.rp_filter", "1"}}, asksSNAT4},
	"redirects-between-two-links": {"redirects", statelessInBothDirections, steps{
		sysctls{"net.ipv4.conf.all.send_redirects", "1"}}, asksDNAT4},
	"macvlan-of-others": {"interface", oneBackend("snat", listen4, "b1", 0, `interfaces = ["eth0"]`), steps{
		runs("ip link add link eth0 name m0 type macvlan; ip link set m0 up; " +
			"ip address add 203.0.113.50/32 dev m0")}, asksSNAT4},
	"no-forwarding-for-a-farm-on-this-machine": {"forwarding", localAt8081, steps{
		sysctls{"net.ipv4.ip_forward", "0"}}, asksLocal},
	"no-forwarding-of-another-link": {"link-forwarding", oneBackend("snat", listen4, "b1", 0), steps{otherLink,
		sysctls{"net.ipv4.conf.eth7.forwarding", "0"}}, asksSNAT4},
	"no-IPv6-for-a-farm-of-IPv4": {"link-ipv6", oneBackend("snat", listen4, "b1", 0), steps{
		sysctls{"net.ipv6.conf.eth0.disable_ipv6", "1"}}, asksSNAT4},
	"no-IPv6-on-another-link": {"link-ipv6", oneBackend("snat", listen6, "b1", 0), steps{otherLink,
		sysctls{"net.ipv6.conf.eth7.disable_ipv6", "1"}}, asksSNAT6},
	"routed-to-this-machine": {"address", oneBackend("snat", `"192.0.2.99:80"`, "b1", 0), steps{
		runs("ip route add local 192.0.2.99/32 dev lo")}, request{by: "tcp", to: "192.0.2.99:80",
		shares: shares{"b1:80": 1}, sees: "balancer", times: 1}},
	"synproxy-with-a-local-route": {"synproxy", oneBackend("snat", `"192.0.2.99:80"`, "b1", 0) + withSynproxy, steps{
		runs("ip route add local 192.0.2.99/32 dev lo")}, request{by: "tcp", to: "192.0.2.99:80",
		shares: shares{"b1:80": 1}, sees: "balancer", times: 1}},
	"address-after-its-detection": {"duplicate", oneBackend("snat", `"[fd00:2::77]:80"`, "b1", 0), steps{
		sysctls{"net.ipv6.conf.eth1.accept_dad", "1"}, runs("ip address add fd00:2::77/64 dev eth1; " +
			"while ip address show tentative | grep -q 77/64; do sleep 0.1; done")}, nothingAsked},
	"source-address-on-lo": {"source-address", oneBackend("snat", listen4, "b1", 0,
		`source-address = "192.0.2.77"`), steps{runs("ip address add 192.0.2.77/32 dev lo")},
		request{by: "tcp", to: "192.0.2.1:80", shares: shares{"b1:80": 1}, sees: "192.0.2.77", times: 1}},
	"no-route-to-a-backend-that-is-down": {"backend", oneBackend("snat", listen4, "b1", 0) +
		"[backends.gone]\naddress = '10.9.9.9'\nstate = 'down'", steps{
		runs("ip route add blackhole 10.9.9.9/32")}, asksSNAT4},
	"backend-on-another-port-than-the-service": {"loop", localBackend, nil,
		request{by: "tcp", to: service1, shares: shares{"balancer:8081": 1}, times: 1}},
}

// States of a machine with other programs that do no harm to the farm are no finding.
func TestNoFindingsOfTheMachine(t *testing.T) {
	t.Parallel()
	playQuiet(t, quietStates)
}

func playQuiet(t *testing.T, cases map[string]quietCase) {
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.play(t)
		})
	}
}

// A quietCase is a state of the machine in which the farm serves clients.
type quietCase struct {
	not   string // kind of the finding that is not there
	farm  string
	state steps
	ask   step
}

func (c quietCase) play(t *testing.T) {
	s := newTestbed(t, netlab.Options{})
	must(t, c.state.do(s))
	must(t, farms{"web": c.farm}.do(s))
	must(t, c.ask.do(s))
	if found, err := s.found(); len(found) > 0 || err != nil {
		t.Errorf("found %+v, %v", found, err)
	}
}
