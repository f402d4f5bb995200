package packettest

import (
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"
)

// TestNetworks: farms that listen on networks get the packets to each of their addresses, but for those of farms with a
// longer prefix.
func TestNetworks(t *testing.T) {
	t.Parallel()
	runCases(t, networkCases())
}

// The networks that hold the services of the testbed, and the last four of these.
const (
	listenNetwork  = `"192.0.2.0/28:80,8000-8099/tcp,udp", "[2001:db8::/64]:80,8000-8099/tcp,udp"`
	listenPart     = `"192.0.2.4/30:80/tcp,udp", "[2001:db8::4/126]:80/tcp,udp"`
	listenWholeNet = `"192.0.2.0/28/all", "2001:db8::/64/all"`
	partAt80       = "192.0.2.4:80 192.0.2.7:80 [2001:db8::4]:80 [2001:db8::7]:80"
	networkAt80    = "192.0.2.3:80 192.0.2.8:80 [2001:db8::3]:80 [2001:db8::8]:80"
	networkAt8050  = "192.0.2.1:8050 192.0.2.5:8050 [2001:db8::1]:8050 [2001:db8::5]:8050"
)

func networkCases() (all []testCase) {
	for _, m := range accessModes {
		if m.mode == "stateless" {
			continue
		}
		for _, listen := range []struct{ name, listen, to string }{
			{"network", `"192.0.2.0/28:80/tcp,udp", "[2001:db8::/64]:80/tcp,udp"`, partAt80},
			{"range-of-network", listenNetwork, networkAt8050},
			{"whole-network", listenWholeNet, networkAt80},
		} {
			turnedAway := denied{as: deniedClient, by: "tcp udp", to: listen.to}
			all = append(all, testCase{name: "access-" + m.name + "-" + listen.name, lab: m.lab, steps: steps{
				m.farm(listen.listen, ""), m.serves(listen.to, unlistedClient), m.serves(listen.to, deniedClient),
				m.farm(listen.listen, inlineLists), m.serves(listen.to, unlistedClient), turnedAway,
				m.serves(listen.to, allowedClient),
			}})
		}
	}
	for _, topology := range dsrTopologies {
		all = append(all, topology.networkCases()...)
	}
	const routed = `"203.0.113.32/28:80/tcp,udp", "[2001:db8:32::/64]:80/tcp,udp"`
	prepared := func(name string) step {
		return stepFunc(func(s *testbed) error { return onBackend(name)(s, nil) })
	}
	all = append(all, testCase{name: "dsr-backends-prepared-by-doctor", lab: dsrTopologies[1].lab, steps: steps{
		farms{"web": dsrTopologies[1].farm(routed)}, prepared("b1"), prepared("b2"),
		directRequest{by: "tcp udp", to: "203.0.113.33:80 203.0.113.47:80 [2001:db8:32::7]:80",
			shares: shares{"b1": 3, "b2": 1}, clients: 40},
	}})
	return append(all, moreNetworkCases...)
}

// networkCases are the cases of farms in mode dsr.
func (a dsrTopology) networkCases() (all []testCase) {
	three := shares{"b1": 3, "b2": 1}
	for _, s := range dsrSchedulers {
		c := testCase{name: "dsr-" + a.name + "-" + s.name, lab: a.lab, steps: steps{
			farms{"web": a.farm(listenNetwork, s.keys)},
			directRequest{by: "tcp udp", to: "192.0.2.3:80 [2001:db8::3]:80", shares: three},
			directRequest{by: "tcp udp", to: networkAt8050, shares: three, clients: 60},
			request{by: "tcp udp", to: "192.0.2.1:53 [2001:db8::1]:53", shares: shares{"balancer:53": 1}},
			pings{to: "192.0.2.1 2001:db8::1", shares: shares{"balancer": 1}},
			untracked("192.0.2.3 2001:db8::3"),
		}}
		if s.whole {
			c.steps = append(c.steps, farms{"web": a.farm(listenWholeNet, s.keys)},
				directRequest{by: "tcp udp", to: networkAt80, shares: three, clients: 60},
				pings{to: "192.0.2.7 2001:db8::7", shares: three})
		}
		all = append(all, c)
	}
	const persistent = "scheduler = 'hash'\npersistence = {}"
	return append(all,
		testCase{name: "dsr-" + a.name + "-fragments", lab: a.lab, steps: steps{
			farms{"web": a.farm(listenNetwork)},
			fragmentsFollow{networkAt80, 5},
			farms{"web": a.farm(listenNetwork, `scheduler = "symmetric-hash"`)},
			fragmentsFollow{networkAt80, 5},
			farms{"web": a.farm(listenNetwork, persistent)},
			fragmentsFollow{networkAt80, 5},
		}},
		testCase{name: "dsr-" + a.name + "-fragments-of-another-farm", lab: a.lab, steps: steps{
			runOn{"balancer", "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"},
			farms{
				"web": a.farm(listenNetwork),
				"one": oneBackend("snat", `"192.0.2.4:443/tcp,udp", "[2001:db8::4]:443/tcp,udp"`, "b3", 8083),
			},
			transfer{by: "udp", to: "192.0.2.4:443 [2001:db8::4]:443", size: 4000},
			directRequest{by: "tcp udp", to: partAt80, shares: three, clients: 40},
		}},
		testCase{name: "dsr-" + a.name + "-icmp-errors", lab: a.lab, steps: steps{
			farms{"web": a.farm(listenNetwork)},
			icmpErrors{by: "tcp udp", to: networkAt80 + " " + networkAt8050},
			farms{"web": a.farm(listenNetwork, `scheduler = "hash"`)},
			icmpErrors{by: "tcp udp", to: networkAt80 + " " + networkAt8050},
			farms{"web": a.farm(listenWholeNet)},
			icmpErrors{by: "tcp udp", to: networkAt80},
		}},
		testCase{name: "dsr-" + a.name + "-persistence", lab: a.lab, steps: steps{
			farms{"web": a.farm(listenNetwork, persistent)},
			keepBackend{name: "known", to: networkAt80 + " " + networkAt8050},
			keepBackend{name: "known", to: partAt80},
		}},
		testCase{name: "dsr-" + a.name + "-leaves-a-farm-of-another-mode", lab: a.lab, steps: steps{
			runOn{"balancer", "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"},
			farms{
				"web": a.farm(listenWholeNet),
				"one": oneBackend("snat", `"192.0.2.3:80/tcp,udp", "[2001:db8::3]:80/tcp,udp"`, "b3", 8083),
				"net": oneBackend("snat", listenPart, "b3", 8082),
			},
			request{by: "tcp udp", to: service3, shares: shares{"b3:8083": 1}, sees: "balancer"},
			request{by: "tcp udp", to: partAt80, shares: shares{"b3:8082": 1}, sees: "balancer"},
			directRequest{by: "tcp udp", to: service1 + " " + networkAt8050, shares: three, clients: 40},
		}})
}

// nestedFarms are farms on a part of the network of another one, by all kinds of frontends.
func nestedFarms(modes string) farms {
	mode := strings.Fields(modes)
	return farms{
		"one":   oneBackend(mode[0], listen1, "b1", 8081),
		"part":  oneBackend(mode[1], listenPart, "b2", 8082),
		"net":   oneBackend(mode[2], listenNetwork, "b3", 8083),
		"whole": oneBackend(mode[3], `"192.0.2.0/27/all", "2001:db8::/48/all"`, "b2", 0),
		"any":   oneBackend(mode[4], `"*:53,80/tcp,udp"`, "b1", 0),
	}
}

// nestedRequests reach each of the nested farms.
func nestedRequests(modes, from string) (all steps) {
	mode := strings.Fields(modes)
	for _, r := range []struct {
		farm   int
		to     string
		shares shares
	}{
		{0, service1, shares{"b1:8081": 1}},
		{1, partAt80, shares{"b2:8082": 1}},
		{2, networkAt80 + " " + networkAt8050, shares{"b3:8083": 1}},
		{3, "192.0.2.1:53 192.0.2.5:53 [2001:db8::1]:53 [2001:db8::5]:53", shares{"b2:53": 1}},
		{3, "192.0.2.1:443 192.0.2.5:443 [2001:db8::1]:443 [2001:db8::5]:443", shares{"b2:443": 1}},
		{4, "203.0.113.1:80 [2001:db8:f::1]:80", shares{"b1:80": 1}},
	} {
		next := request{from: from, by: "tcp udp", to: r.to, shares: r.shares}
		if mode[r.farm] == "snat" {
			next.sees = "balancer"
		}
		all = append(all, next)
	}
	return all
}

const (
	modesInTurn    = "snat dnat snat dnat snat"
	modesTheOther  = "dnat snat dnat snat dnat"
	networkOfBoth  = `"192.0.2.0/28:80/tcp,udp", "[2001:db8::/64]:80/tcp,udp"`
	networkService = "192.0.2.6:80 [2001:db8::6]:80"
)

var moreNetworkCases = []testCase{
	{name: "longest-prefix-first", steps: append(steps{nestedFarms(modesInTurn),
		pings{to: "192.0.2.3 2001:db8::3", shares: shares{"b2": 1}}}, nestedRequests(modesInTurn, "")...)},
	{name: "longest-prefix-first-in-other-modes", steps: append(steps{nestedFarms(modesTheOther)},
		nestedRequests(modesTheOther, "")...)},
	{name: "network-not-of-this-machine", lab: netlab.Options{NoVIPs: true}, steps: append(steps{
		nestedFarms(modesInTurn)}, nestedRequests(modesInTurn, "")...)},
	{name: "shares", steps: steps{
		farms{"web": strings.Replace(weightedFarm("random", 3, 1), listen1, networkOfBoth, 1)},
		request{by: "tcp udp", to: networkService, shares: shares{"b1:8081": 3, "b2:8082": 1}, sees: "balancer"},
	}},
	{name: "local-clients", steps: append(steps{nestedFarms("snat snat snat snat snat")},
		nestedRequests("snat snat snat snat snat", "balancer")...)},
	{name: "no-local-clients", steps: steps{
		farms{"net": oneBackend("snat", networkOfBoth, "b1", 0, remoteOnly),
			"whole": oneBackend("snat", `"192.0.2.0/27/all", "2001:db8::/48/all"`, "b2", 0)},
		request{from: "balancer", by: "tcp udp", to: networkService, shares: shares{"balancer:80": 1},
			sees: "192.0.2.6 2001:db8::6"},
		request{from: "balancer", by: "tcp udp", to: "192.0.2.6:443 [2001:db8::6]:443", shares: shares{"b2:443": 1},
			sees: "balancer"},
		request{by: "tcp udp", to: networkService, shares: shares{"b1:80": 1}, sees: "balancer"},
	}},
	{name: "hairpin", steps: steps{
		farms{"web": oneBackend("dnat", networkOfBoth, "b1", 8081, hairpinKey)},
		request{from: "b3", by: "tcp udp", to: networkService, shares: shares{"b1:8081": 1}, sees: "balancer"},
		request{from: "b1", by: "tcp udp", to: networkService, shares: shares{"b1:8081": 1}, sees: "balancer"},
		request{by: "tcp udp", to: networkService, shares: shares{"b1:8081": 1}},
	}},
	// one client has one backend at all addresses of the network
	{name: "persistence", steps: steps{
		farms{"web": strings.Replace(weightedFarm("random", 1, 1), listen1, networkOfBoth, 1) + "\n[persistence]\n"},
		keepBackend{name: "known", to: partAt80, sees: "balancer"},
		keepBackend{name: "known", to: networkAt80, sees: "balancer"},
	}},
	{name: "backend-limits", steps: steps{
		farms{"web": farmWithBackendLimits("", networkOfBoth, "2", "3", "")},
		fill{by: "udp", to: networkService, more: 1},
		fill{by: "tcp", to: partAt80, until: shares{"b1": 2, "b2": 3}},
		refill{by: "tcp", to: networkService, turns: 6},
	}},
	{name: "limits", steps: steps{
		farms{
			"net": oneBackend("snat", networkOfBoth, "b1", 0) + "[limits]\nnew = { rate = \"1/day\", burst = 6 }",
			"one": oneBackend("snat", `"192.0.2.2:80", "[2001:db8::2]:80"`, "b2", 0),
		},
		attempt{as: 0, by: "tcp", to: "192.0.2.4:80 [2001:db8::4]:80", times: 2, pass: 2},
		attempt{as: 1, by: "udp", to: "192.0.2.5:80 [2001:db8::5]:80", times: 1, pass: 1},
		attempt{as: 2, by: "tcp udp", to: networkService, times: 1, pass: 0},
		limitCounter{farm: "net", reason: "new", packets: 4},
		attempt{as: 2, by: "tcp", to: service2, times: 8, pass: 8},
	}},
	{name: "farm-down-leaves-its-part-to-the-network", steps: steps{
		farms{"one": oneBackend("snat", networkOfBoth, "b1", 0, `state = "down"`) + denyAll,
			"net": oneBackend("dnat", `"192.0.2.0/27:80/tcp,udp", "[2001:db8::/48]:80/tcp,udp"`, "b2", 0)},
		denied{by: "tcp udp", to: networkService, farm: "one"},
		farms{"one": oneBackend("snat", networkOfBoth, "b1", 0, `state = "down"`),
			"net": oneBackend("dnat", `"192.0.2.0/27:80/tcp,udp", "[2001:db8::/48]:80/tcp,udp"`, "b2", 0)},
		request{by: "tcp udp", to: networkService, shares: shares{"b2:80": 1}},
	}},
	// each of several nested farms applies its own lists only
	{name: "nested-farms-apply-their-own-lists", steps: steps{
		farms{
			"one":  oneBackend("snat", listen1, "b1", 0),
			"part": oneBackend("snat", listenPart, "b2", 0) + denyAll,
			"net":  oneBackend("dnat", listenNetwork, "b3", 0),
			"any":  oneBackend("snat", `"*:1-9000/tcp,udp"`, "b1", 0) + denyAll,
		},
		request{by: "tcp udp", to: service1, shares: shares{"b1:80": 1}, sees: "balancer"},
		denied{by: "tcp udp", to: partAt80, farm: "part"},
		request{by: "tcp udp", to: networkAt80 + " " + service3, shares: shares{"b3:80": 1}},
		denied{by: "tcp udp", to: "192.0.2.3:443 [2001:db8::3]:443", farm: "any"},
	}},
	{name: "moved-ports", steps: steps{
		farms{"web": oneBackend("dnat", `"192.0.2.0/28:80,443/tcp,udp", "[2001:db8::/64]:80,443/tcp,udp"`, "b1", 0,
			"ports = { 80 = 8081, 443 = 8082 }")},
		request{by: "tcp udp", to: networkService, shares: shares{"b1:8081": 1}},
		request{by: "tcp udp", to: "192.0.2.6:443 [2001:db8::6]:443", shares: shares{"b1:8082": 1}},
	}},
	{name: "fragments-inside", steps: steps{
		farms{"web": oneBackend("dnat", networkOfBoth, "b1", 0, inside) + inlineLists},
		transfer{"udp", networkService, 4000},
		denied{as: deniedClient, by: "udp", to: networkService, size: 4000, packets: 3},
	}},
	{name: "fragments-do-not-match-another-farm", steps: steps{
		farms{
			"web": oneBackend("dnat", networkOfBoth, "b1", 0, inside),
			"all": oneBackend("dnat", `"192.0.2.0/27/all", "2001:db8::/48/all"`, "b2", 0, inside) + denyAll,
		},
		denied{by: "udp", to: "192.0.2.1:443 [2001:db8::1]:443", farm: "all"},
		transfer{"udp", networkService, 4000},
	}},
	{name: "reload-keeps-connections", steps: steps{
		farms{"net": oneBackend("dnat", networkOfBoth, "b1", 8081)},
		hold{by: "tcp udp", to: networkService},
		farms{"net": oneBackend("dnat", networkOfBoth, "b1", 8081),
			"other": oneBackend("snat", `"192.0.2.8/30:80/tcp,udp", "[2001:db8::8/126]:80/tcp,udp"`, "b2", 8082)},
		echo{},
		request{by: "tcp udp", to: "192.0.2.9:80 [2001:db8::9]:80", shares: shares{"b2:8082": 1}, sees: "balancer"},
		farms{"net": oneBackend("dnat", `"192.0.2.0/27:80/tcp,udp", "[2001:db8::/64]:80/tcp,udp"`, "b1", 8081)},
		echo{},
		request{by: "tcp udp", to: networkAt80, shares: shares{"b1:8081": 1}},
		farms{"net": oneBackend("dnat", networkOfBoth, "b1", 8081) + "[backends.b2]\naddress = ['10.2.0.12', " +
			"'fd00:2::12']\nport = 8082\nweight = 3"},
		echo{},
		request{by: "tcp udp", to: networkService, shares: shares{"b1:8081": 1, "b2:8082": 3}},
	}},
	// a farm takes a part out of the network: TCP connections stay, and UDP goes to the new farm
	{name: "reload-takes-a-part-out", steps: steps{
		farms{"net": oneBackend("dnat", networkOfBoth, "b1", 8081)},
		hold{by: "tcp", to: networkService},
		converse{"udp", networkService},
		farms{"net": oneBackend("dnat", networkOfBoth, "b1", 8081),
			"part": oneBackend("dnat", listenPart, "b2", 8082)},
		echo{},
		continued{by: "udp", with: "b1", answers: "b2"},
		request{by: "tcp udp", to: partAt80, shares: shares{"b2:8082": 1}},
		request{by: "tcp udp", to: networkAt80, shares: shares{"b1:8081": 1}},
	}},
}
