package packettest

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
)

// TestGateway: farms in mode stateless whose replies are handed on to a gateway, or to clients on the link.
func TestGateway(t *testing.T) {
	t.Parallel()
	runCases(t, slices.Concat(statelessCases(gatewayPaths), gatewayPathCases(), gatewayCases()))
}

// gatewayPaths are the two ways to clients: by a router, and on the link.
var gatewayPaths = []statelessPath{
	{"gateway", `interfaces = ["eth0"]` + "\n" + `gateway = ["203.0.113.2", "2001:db8:f::2"]`, `interface = "eth1"`,
		false},
	{"on-link", `interfaces = ["eth0"]` + "\n" + `gateway = "on-link"`, ``, true},
}

// dropFast drops packets in the forward chain that have to pass by it: of TCP all but SYNs, of UDP all but datagrams
// that were fragments.
const dropFast = nftScript(`table inet fast {
	chain forward {
		type filter hook forward priority filter
		meta l4proto tcp tcp flags & syn == 0 drop
		meta l4proto udp meta length < 1400 drop
	}
}`)

// gatewayPathCases hold for both ways to clients.
func gatewayPathCases() (all []testCase) {
	for _, w := range gatewayPaths {
		web := w.stateless(listen1, "", "b1:8081", "b2:8082")
		all = append(all,
			w.testCase("passes-forward-filters-by",
				dropFast,
				farms{"web": web, "same": w.stateless(listen2At443, "", "b3")},
				request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1, "b2:8082": 1}, times: 60},
				request{by: "tcp udp", to: service2At443, shares: shares{"b3:443": 1}},
				transfer{"tcp", service1 + " " + service2At443, 1_000_000},
				transfer{"udp", service1 + " " + service2At443, 1200},
				nothingTracked),
			// fragments of requests and of replies are joined by the stack
			w.testCase("fragments",
				farms{"web": web, "all": w.stateless(listenWhole3, "", "b3")},
				transfer{"udp", service1 + " " + service3, 4000},
				transfer{"udp", service1 + " " + service3, 1200},
				nothingTracked),
			w.testCase("strict-rp-filter",
				sysctls{"net.ipv4.conf.all.rp_filter", "1"}, sysctls{"net.ipv4.conf.eth0.rp_filter", "1"},
				farms{"web": web, "all": w.stateless(listenWhole3, "", "b3")},
				transfer{"tcp", service1 + " " + service3, 300_000},
				transfer{"udp", service1 + " " + service3, 4000}),
			w.testCase("reload",
				farms{"web": web},
				hold{by: "tcp udp", to: service1},
				farms{"web": web, "mail": oneBackend("snat", `"192.0.2.2:80"`, "b3", 0)},
				echo{},
				farms{"web": web, "other": w.stateless(listen2At443, "", "b3:8083"),
					"third": w.stateless(`"192.0.2.3:80", "[2001:db8::3]:80"`, "", "b2")},
				echo{},
				dropFast,
				echo{},
				request{by: "tcp udp", to: service2At443, shares: shares{"b3:8083": 1}},
				request{by: "tcp", to: service3, shares: shares{"b2:80": 1}},
				nftScript("delete table inet fast"),
				dropIngress, deleteTable, pipeScript, acceptIngress, echo{}, pipeScript, echo{}),
			w.testCase("checked-from-the-balancer", checkedFromBalancer(w)...),
			// a more general farm on the address leaves the slow path of the other one alone
			w.testCase("inside-a-whole-address",
				farms{"all": w.stateless(listenWhole3, "", "b1"),
					"web":  w.stateless(`"192.0.2.3:443/tcp,udp", "[2001:db8::3]:443/tcp,udp"`, "", "b2:8081"),
					"dnat": oneBackend("dnat", `"192.0.2.3:80/tcp,udp", "[2001:db8::3]:80/tcp,udp"`, "b3", 8082)},
				request{by: "tcp udp", to: service3, shares: shares{"b3:8082": 1}},
				request{by: "tcp udp", to: "192.0.2.3:443 [2001:db8::3]:443", shares: shares{"b2:8081": 1}},
				request{by: "tcp udp", to: "192.0.2.3:53 [2001:db8::3]:53", shares: shares{"b1:53": 1}},
				transfer{"tcp", service3 + " 192.0.2.3:443 [2001:db8::3]:443 192.0.2.3:53 [2001:db8::3]:53", 300_000},
				transfer{"udp", "192.0.2.3:443 [2001:db8::3]:443 192.0.2.3:53 [2001:db8::3]:53", 4000}),
			// a more general farm takes its packets from all interfaces
			w.testCase("inside-a-farm-without-interfaces",
				farms{"all": oneBackend("stateless", listenWhole3, "b1", 0),
					"web": w.stateless(`"192.0.2.3:443/tcp,udp", "[2001:db8::3]:443/tcp,udp"`, "", "b2:8081")},
				request{by: "tcp udp", to: "192.0.2.3:443 [2001:db8::3]:443", shares: shares{"b2:8081": 1}},
				transfer{"tcp", "192.0.2.3:443 [2001:db8::3]:443", 300_000},
				transfer{"udp", "192.0.2.3:443 [2001:db8::3]:443", 4000},
				farms{"range": oneBackend("stateless", `"192.0.2.3:400-500", "[2001:db8::3]:400-500"`, "b1", 0),
					"web": w.stateless(`"192.0.2.3:443", "[2001:db8::3]:443"`, "", "b2:8081")},
				request{by: "tcp", to: "192.0.2.3:443 [2001:db8::3]:443", shares: shares{"b2:8081": 1}}),
			w.testCase("persistence",
				farms{"web": w.stateless(listen1, "persistence = {}", "b1:8081", "b2:8082")},
				transfer{"tcp", service1, 300_000},
				transfer{"udp", service1, 1200},
				nothingTracked),
		)
	}
	return all
}

// checkedFromBalancer: replies to a health checker of the balancer are no replies of a farm, and a filter of the
// balancer knows their connections.
func checkedFromBalancer(w statelessPath) steps {
	web := w.stateless(listen1, "", "b1:8081")
	checks := request{from: "balancer", by: "tcp udp",
		to:     "10.2.0.11:8081 [fd00:2::11]:8081 10.2.0.11:443 [fd00:2::11]:443",
		shares: shares{"b1:8081": 1, "b1:443": 1}, times: 2}
	return steps{
		nftScript(`table inet filter {
			chain input {
				type filter hook input priority filter; policy drop
				ct state established,related accept
				meta l4proto icmpv6 accept
			}
		}`),
		farms{"web": web},
		checks,
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}},
		// replies of three kinds have a chain each
		farms{"web": web, "other": w.stateless(listen2At443, "", "b3:8083"),
			"third": w.stateless(`"192.0.2.3:80", "[2001:db8::3]:80"`, "", "b2")},
		checks,
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}},
	}
}

// gatewayCases hold for one way to clients.
func gatewayCases() []testCase {
	routed, onLink := gatewayPaths[0], gatewayPaths[1]
	byNetwork := routed
	byNetwork.farm = `interfaces = ["eth0"]
[gateway]
"198.51.100.0/25"  = "203.0.113.2"
"198.51.100.64/26" = "203.0.113.9"
"2001:db8:c::/64"  = "2001:db8:f::2"`
	notLocal := routed.testCase("service-address-not-local",
		sysctls{"net.ipv4.conf.all.rp_filter", "1"}, sysctls{"net.ipv4.conf.eth0.rp_filter", "1"},
		farms{"web": routed.stateless(listen1, "", "b1:8081", "b2")},
		transfer{"tcp", service1, 300_000}, transfer{"udp", service1, 4000})
	notLocal.lab.NoVIPs = true
	// the balancer has two addresses of each family, which rules compare without a set
	fewAddresses := routed.testCase("checked-from-a-balancer-with-few-addresses", checkedFromBalancer(routed)...)
	fewAddresses.lab.NoVIPs = true
	return []testCase{
		notLocal,
		fewAddresses,
		// replies between balancer and backends that are too large for the link of either
		routed.testCase("small-packets",
			farms{"web": routed.stateless(listen1, "", "b1:8081")},
			setMTU{"balancer eth0 client eth0", 1400}, transfer{"tcp", service1, 300_000},
			setMTU{"balancer eth0 client eth0", 1500},
			setMTU{"balancer eth1", 1400}, transfer{"tcp", service1, 300_000},
			setMTU{"balancer eth1", 1280}, transfer{"tcp", service1, 300_000}),
		// the networks of the clients have a router, one that does not answer, and none
		byNetwork.testCase("by-network",
			farms{"web": byNetwork.stateless(listen1, "", "b1:8081")},
			request{by: "tcp udp", to: service1, as: "198.51.100.5 2001:db8:c::5", shares: shares{"b1:8081": 1}},
			request{by: "tcp udp", to: "192.0.2.1:80", as: "198.51.100.200", shares: shares{"b1:8081": 1}},
			noReply{"198.51.100.70", "192.0.2.1:80"},
			dropFast,
			request{by: "tcp udp", to: service1, as: "198.51.100.5 2001:db8:c::5", shares: shares{"b1:8081": 1}},
			noReply{"198.51.100.200", "192.0.2.1:80"}),
		routed.testCase("gateway-with-another-mac",
			farms{"web": routed.stateless(listen1, "", "b1:8081", "b2")},
			hold{by: "tcp udp", to: service1},
			stepFunc(func(s *testbed) error { return s.setMACs(1, 0) }),
			echo{},
			request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1, "b2:80": 1}, times: 60}),
		onLink.testCase("interface-that-comes-back",
			farms{"web": onLink.stateless(listen1, "", "b1:8081")},
			transfer{"tcp", service1, 300_000},
			runOn{"balancer", "ip link delete eth0"},
			warns{farms{"web": onLink.stateless(listen1, "", "b1:8081")}, "eth0 does not exist"},
			stepFunc(func(s *testbed) error {
				b := s.Balancer
				return errors.Join(s.Plug(b, "eth0"), b.AddAddress("eth0", netip.MustParsePrefix("10.2.0.1/24")),
					b.AddAddress("eth0", netip.MustParsePrefix("fd00:2::1/64")))
			}),
			runOn{"client", "ip neighbour flush all"},
			runOn{"b1", "ip neighbour flush all"},
			warns{farms{"web": onLink.stateless(listen1, "", "b1:8081")}, ""},
			dropFast,
			transfer{"tcp", service1, 300_000},
			transfer{"udp", service1, 1200}),
	}
}

// noReply: a client gets no reply by UDP.
type noReply struct{ as, to string }

func (n noReply) do(s *testbed) error {
	for _, q := range s.targets("", "udp", n.to) {
		as := s.newClientAs(q.from, q.to.Addr(), n.as)
		if err := q.unanswered(as); err != nil {
			return err
		}
	}
	return nil
}
