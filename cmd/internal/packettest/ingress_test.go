package packettest

import (
	"strconv"
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"
)

func TestIngress(t *testing.T) {
	t.Parallel()
	for _, topology := range dsrTopologies {
		for _, c := range ingressCases(topology) {
			c.name, c.lab = topology.name+"-"+c.name, topology.lab
			runCases(t, []testCase{c})
		}
	}
	runCases(t, twoArmedIngressCases)
}

func ingressCases(topology dsrTopology) []testCase {
	return []testCase{
		{name: "fragments", steps: steps{
			farms{"web": topology.farm(listenAllKinds)},
			fragmentsFollow{service1 + " " + service1At8050 + " " + service2, 10},
			farms{"web": topology.farm(listenAllKinds, `hash-on = ["source-address", "destination-address"]`)},
			fragmentsFollow{service1 + " " + service1At8050 + " " + service2, 10},
			untracked("192.0.2.1 2001:db8::1"),
		}},
		{name: "fragments-symmetric-hash", steps: steps{
			farms{"web": topology.farm(listenAllKinds, `scheduler = "symmetric-hash"`)},
			fragmentsFollow{service1 + " " + service2, 10},
		}},
		{name: "icmp-errors-reach-the-backend", steps: steps{
			farms{"web": topology.farm(listenAllKinds)},
			icmpErrors{by: "tcp udp", to: service1 + " " + service1At8050 + " " + service2},
			farms{"web": topology.farm(listenAllKinds, `scheduler = "hash"`)},
			icmpErrors{by: "tcp udp", to: service1 + " " + service1At8050 + " " + service2},
		}},
		{name: "icmp-errors-with-hash-on-ports", steps: steps{
			farms{"web": topology.farm(listen1Ports, `hash-on = ["source-address", "source-port"]`)},
			icmpErrors{by: "tcp udp", to: service1 + " " + service1At8050},
			farms{"web": topology.farm(listen1Ports,
				`hash-on = ["source-address", "destination-address", "source-port", "destination-port"]`)},
			icmpErrors{by: "tcp udp", to: service1 + " " + service1At8050},
		}},
		{name: "icmp-errors-with-hash-on-addresses", steps: steps{
			farms{"web": topology.farm(listenAllKinds, `hash-on = ["source-address", "destination-address"]`)},
			icmpErrors{by: "tcp udp", to: service1 + " " + service1At8050 + " " + service2},
		}},
		{name: "every-protocol", steps: steps{
			farms{"web": topology.farm(listenWhole2)},
			portlessPackets{service2, 253, []byte("no ports here")},
			portlessPackets{service2, protocolSCTP, netlab.SCTPInit(5000, 80)},
		}},
		{name: "sctp", steps: steps{
			farms{"web": topology.farm(`"192.0.2.1:80,8000-8100/tcp,sctp", "[2001:db8::1]:80,8000-8100/tcp,sctp"`)},
			portlessPackets{service1, protocolSCTP, netlab.SCTPInit(5000, 80)},
			portlessPackets{service1At8050, protocolSCTP, netlab.SCTPInit(5000, 8050)},
		}},
		{name: "last-backend-down-is-silent", steps: steps{
			farms{"web": topology.farm(listenAllKinds)},
			directRequest{by: "tcp", to: service1 + " " + service2, shares: shares{"b1": 3, "b2": 1}, clients: 20},
			farms{"web": strings.ReplaceAll(topology.farm(listenAllKinds), "address ", "state = \"down\"\naddress ")},
			noAnswer{"tcp udp", service1 + " " + service2},
			noPingAnswer("192.0.2.2 2001:db8::2"),
			pings{to: "192.0.2.1 2001:db8::1 192.0.2.3 2001:db8::3", shares: shares{"balancer": 1}},
			request{by: "tcp udp", to: "192.0.2.1:443 [2001:db8::1]:443", shares: shares{"balancer:443": 1}},
			request{by: "tcp udp", to: "192.0.2.3:80 [2001:db8::3]:80", shares: shares{"balancer:80": 1}},
			farms{"web": topology.farm(listenAllKinds)},
			directRequest{by: "tcp", to: service1 + " " + service2, shares: shares{"b1": 3, "b2": 1}, clients: 20},
		}},
		{name: "neighbour-discovery-passes", steps: steps{
			farms{"web": topology.farm(listenWhole2)},
			runOn{"balancer", "ip address add 2001:db8::2/128 dev eth0 nodad"},
			runOn{"client", "ip route add 192.0.2.2/32 dev eth0\nip -6 route add 2001:db8::2/128 dev eth0"},
			directRequest{by: "tcp", to: service2, shares: shares{"b1": 3, "b2": 1}, clients: 20},
			probeNeighbours("192.0.2.2 2001:db8::2"),
			directRequest{by: "tcp", to: service2, shares: shares{"b1": 3, "b2": 1}, clients: 20},
		}},
		{name: "frames-for-others-are-ignored", steps: steps{
			farms{"web": topology.farm(listenAllKinds)},
			framesForOthers{service1},
		}},
		{name: "mac", steps: steps{
			farms{"web": topology.farmWithUnknownNeighbour("")},
			noAnswer{"tcp udp", service1},
			stepFunc(func(s *testbed) error {
				mac, err := s.mac("b1")
				if err != nil {
					return err
				}
				return steps{
					farms{"web": topology.farmWithUnknownNeighbour(mac)},
					directRequest{by: "tcp udp", to: service1 + " " + service2, shares: shares{"b1": 1}, clients: 20},
					icmpErrors{by: "tcp udp", to: service1 + " " + service2},
					fragmentsFollow{service1 + " " + service2, 5},
				}.do(s)
			}),
		}},
		{name: "mac-beside-others", steps: steps{stepFunc(func(s *testbed) error {
			mac, err := s.mac("b2")
			if err != nil {
				return err
			}
			given := "interface = " + strconv.Quote(topology.out) + "\n\t\tmac = " + strconv.Quote(mac) // of b2 only
			farm := replaceLast(topology.farm(listenAllKinds), "interface = "+strconv.Quote(topology.out), given)
			byMAC := replaceLast(topology.farm(listenAllKinds,
				"scheduler = \"hash\"\nhash-on = [\"source-address\", \"source-mac\", \"destination-mac\"]"),
				"interface = "+strconv.Quote(topology.out), given)
			return steps{
				farms{"web": farm},
				directRequest{by: "tcp udp", to: service1 + " " + service2, shares: shares{"b1": 3, "b2": 1}},
				icmpErrors{by: "tcp udp", to: service1 + " " + service2},
				farms{"web": byMAC},
				directRequest{by: "tcp udp", to: service1 + " " + service2, shares: shares{"b1": 3, "b2": 1}},
			}.do(s)
		})}},
		{name: "changed-mac-is-found", steps: steps{
			shortNeighbourTimes(topology.out),
			farms{"web": topology.farm(listen1Ports)},
			directRequest{by: "tcp", to: service1, shares: shares{"b1": 3, "b2": 1}, clients: 40},
			runOn{"b1", "ip link set eth0 address 02:00:00:00:be:01"},
			requestUntilAnswered{service1},
			directRequest{by: "tcp", to: service1, shares: shares{"b1": 3, "b2": 1}, clients: 40},
			replaceLink("b1"),
			requestUntilAnswered{service1},
			directRequest{by: "tcp", to: service1, shares: shares{"b1": 3, "b2": 1}, clients: 40},
		}},
		{name: "beside-dnat", steps: steps{
			runOn{"balancer", "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"},
			farms{
				"whole": topology.farm(listenWhole2),
				"port":  oneBackend("snat", `"192.0.2.2:443/tcp,udp", "[2001:db8::2]:443/tcp,udp"`, "b3", 8083),
				"range": oneBackend("snat", `"192.0.2.2:8000-8100/tcp,udp", "[2001:db8::2]:8000-8100/tcp,udp"`, "b3",
					0),
				"other": oneBackend("snat", `"192.0.2.3:80/tcp,udp", "[2001:db8::3]:80/tcp,udp"`, "b3", 8083),
				"any":   oneBackend("snat", `"*:80,53/tcp,udp"`, "b3", 8083),
			},
			directRequest{by: "tcp udp", to: service2 + " 192.0.2.2:53 [2001:db8::2]:53",
				shares: shares{"b1": 3, "b2": 1}, clients: 40},
			request{by: "tcp udp",
				to:     "192.0.2.2:443 [2001:db8::2]:443 192.0.2.3:80 [2001:db8::3]:80 192.0.2.4:53 [2001:db8::4]:53",
				shares: shares{"b3:8083": 1}, sees: "balancer"},
			request{by: "tcp udp", to: "192.0.2.2:8050 [2001:db8::2]:8050", shares: shares{"b3:8050": 1},
				sees: "balancer"},
			transfer{by: "udp", to: "192.0.2.3:80 [2001:db8::3]:80 192.0.2.4:53 [2001:db8::4]:53", size: 4000},
			icmpErrors{by: "tcp udp", to: service2},
			icmpErrors{by: "tcp udp", to: "192.0.2.2:443 [2001:db8::2]:443", backend: 8083},
			icmpErrors{by: "tcp udp", to: "192.0.2.2:8050 [2001:db8::2]:8050", backend: 8050},
		}},
		{name: "fragments-of-another-farm", steps: steps{
			runOn{"balancer", "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"},
			farms{
				"web":  topology.farm(`"192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"`),
				"port": oneBackend("snat", `"192.0.2.1:443/tcp,udp", "[2001:db8::1]:443/tcp,udp"`, "b3", 8083),
			},
			transfer{by: "udp", to: "192.0.2.1:443 [2001:db8::1]:443", size: 4000},
		}},
	}
}

var twoArmedIngressCases = []testCase{
	{name: "replies-through-the-balancer", lab: netlab.Options{BackendVIPs: true, NoVIPs: true}, steps: steps{
		farms{"web": dsrTopologies[1].farm(listenAllKinds)},
		directRequest{by: "tcp udp", to: service1 + " " + service2, shares: shares{"b1": 3, "b2": 1}, clients: 40},
		pings{to: "192.0.2.2 2001:db8::2", shares: shares{"b1": 3, "b2": 1}},
	}},
	{name: "replies-through-the-balancer-that-owns-the-address", lab: netlab.Options{BackendVIPs: true}, steps: steps{
		farms{"web": dsrTopologies[1].farm(listenAllKinds)},
		directRequest{by: "tcp udp", to: "[2001:db8::1]:80", shares: shares{"b1": 3, "b2": 1}, clients: 40},
		noAnswer{"tcp", "192.0.2.1:80"}, // martian source, without accept_local
		runOn{"balancer", "sysctl -qw net.ipv4.conf.eth1.accept_local=1"},
		directRequest{by: "tcp udp", to: service1 + " " + service2, shares: shares{"b1": 3, "b2": 1}, clients: 40},
	}},
	{name: "replies-through-an-interface-of-requests", lab: netlab.Options{BackendVIPs: true}, steps: steps{
		farms{"web": strings.Replace(dsrTopologies[1].farm(listenAllKinds), `["eth0"]`, `["eth0", "eth1"]`, 1)},
		runOn{"balancer", "sysctl -qw net.ipv4.conf.eth1.accept_local=1"},
		directRequest{by: "tcp udp", to: service1 + " " + service2, shares: shares{"b1": 3, "b2": 1}, clients: 40},
	}},
	{name: "backends-on-another-interface", lab: dsrTopologies[1].lab, steps: steps{
		stepFunc(func(s *testbed) error { return s.Plug(s.Balancer, "eth2") }),
		runOn{"balancer", "ip address add 10.2.0.2/24 dev eth2 noprefixroute"}, // a source for neighbour discovery
		farms{"web": strings.Replace(dsrTopologies[1].farm(listenAllKinds), `interface = "eth1"`, `interface = "eth2"`,
			1)},
		directRequest{by: "tcp udp", to: service1 + " " + service2, shares: shares{"b1": 3, "b2": 1}},
		pings{to: "192.0.2.2 2001:db8::2", shares: shares{"b1": 3, "b2": 1}},
		icmpErrors{by: "tcp udp", to: service1 + " " + service2},
		fragmentsFollow{service1 + " " + service2, 10},
		sentOver{"eth1", "eth2"},
	}},
	{name: "two-interfaces", lab: dsrTopologies[1].lab, steps: steps{
		runOn{"client", "ip route add 192.0.2.4/32 via 10.2.0.1\nip -6 route add 2001:db8::4/128 via fd00:2::1"},
		farms{"web": strings.Replace(dsrTopologies[1].farm(`"192.0.2.3:80/tcp,udp", "192.0.2.4:80/tcp,udp", `+
			`"[2001:db8::3]:80/tcp,udp", "[2001:db8::4]:80/tcp,udp"`), `["eth0"]`, `["eth0", "eth1"]`, 1)},
		directRequest{by: "tcp udp", to: "192.0.2.3:80 192.0.2.4:80 [2001:db8::3]:80 [2001:db8::4]:80",
			shares: shares{"b1": 3, "b2": 1}, clients: 40},
	}},
	{name: "other-interfaces-are-ignored", lab: dsrTopologies[1].lab, steps: steps{
		runOn{"client", "ip route add 192.0.2.4/32 via 10.2.0.1\nip -6 route add 2001:db8::4/128 via fd00:2::1"},
		farms{"web": dsrTopologies[1].farm(`"192.0.2.3:80/tcp,udp", "192.0.2.4:80/tcp,udp", ` +
			`"[2001:db8::3]:80/tcp,udp", "[2001:db8::4]:80/tcp,udp"`)},
		directRequest{by: "tcp udp", to: "192.0.2.3:80 [2001:db8::3]:80", shares: shares{"b1": 3, "b2": 1},
			clients: 40},
		request{by: "tcp udp", to: "192.0.2.4:80 [2001:db8::4]:80", shares: shares{"balancer:80": 1}},
	}},
	// the port is served on both interfaces, the whole address on one
	{name: "specific-farm-on-more-interfaces", lab: dsrTopologies[1].lab, steps: steps{
		runOn{"client", "ip route add 192.0.2.4/32 via 10.2.0.1\nip -6 route add 2001:db8::4/128 via fd00:2::1"},
		farms{
			"whole": oneBackend("dsr",
				`"192.0.2.3/all", "192.0.2.4/all", "2001:db8::3/all", "2001:db8::4/all"`, "b3", 0,
				`interfaces = ["eth0"]`) + `interface = "eth1"`,
			"port": strings.Replace(dsrTopologies[1].farm(`"192.0.2.3:80/tcp,udp", "192.0.2.4:80/tcp,udp", `+
				`"[2001:db8::3]:80/tcp,udp", "[2001:db8::4]:80/tcp,udp"`), `["eth0"]`, `["eth0", "eth1"]`, 1),
		},
		directRequest{by: "tcp udp", to: "192.0.2.3:80 192.0.2.4:80 [2001:db8::3]:80 [2001:db8::4]:80",
			shares: shares{"b1": 3, "b2": 1}, clients: 40},
		directRequest{by: "tcp udp", to: "192.0.2.3:443 [2001:db8::3]:443", shares: shares{"b3": 1}, clients: 10},
		request{by: "tcp udp", to: "192.0.2.4:443 [2001:db8::4]:443", shares: shares{"balancer:443": 1}},
		fragmentsFollow{"192.0.2.3:443 [2001:db8::3]:443", 5},
	}},
	// the port of the other farm comes first, and its interface is not that of the fragments, or absent
	{name: "fragments-beside-a-farm-on-another-interface", lab: dsrTopologies[1].lab, steps: steps{
		farms{"a": onPort53("snat", "eth1"), "web": dsrTopologies[1].farm(listen1Ports)},
		fragmentsFollow{service1, 5},
		farms{"a": onPort53("dnat", "eth7"), "web": dsrTopologies[1].farm(listen1Ports)},
		fragmentsFollow{service1, 5},
	}},
}

// onPort53 is a farm that takes its packets from one interface.
func onPort53(mode, link string) string {
	return oneBackend(mode, `"192.0.2.1:53/udp", "[2001:db8::1]:53/udp"`, "b3", 0, `interfaces = ["`+link+`"]`)
}
