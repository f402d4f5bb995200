package packettest

import (
	"path/filepath"
	"testing"

	"farmc/cmd/internal/netlab"
)

// restartLink takes the balancer's link to the backends down and up, and gives it back its IPv6 address, which the
// kernel removes; network managers do the same.
var restartLink = runOn{"balancer", `ip link set eth1 down
	ip link set eth1 up
	ip address replace fd00:2::1/64 dev eth1 nodad`}

// plainFarm leaves the source address to the machine.
var plainFarm = farms{"web": oneBackend("snat", listen1, "b1", 8081)}

// sourceRouteCases: without a source-address backends see the address that the route to them names.
var sourceRouteCases = []testCase{
	// connections without an entry in conntrack would go to another backend, most of them, which resets them
	{name: "source-of-the-route-outlives-a-link-restart", steps: steps{
		farms{"web": `
			listen = ["192.0.2.1:80/tcp,udp", "[2001:db8::1]:80/tcp,udp"]
			[backends.b1]
			address = ["10.2.0.11", "fd00:2::11"]
			[backends.b2]
			address = ["10.2.0.12", "fd00:2::12"]
			[backends.b3]
			address = ["10.2.0.13", "fd00:2::13"]
		`},
		request{by: "tcp udp", to: service1, shares: shares{"b1:80": 1, "b2:80": 1, "b3:80": 1},
			sees: "10.2.0.1 fd00:2::1"},
		hold{by: "tcp", to: service1},
		restartLink,
		eventually{request{by: "tcp", to: service1, times: 30, shares: shares{"b1:80": 1, "b2:80": 1, "b3:80": 1},
			sees: "10.2.0.1 fd00:2::1"}},
		echo{},
	}},
	{name: "source-of-the-route", steps: steps{
		runOn{"balancer", `ip address add 10.2.0.9/32 dev lo
			ip address add fd00:2::9/128 dev eth1 nodad
			ip -6 route add fd00:2::11/128 dev eth1 src fd00:2::1
			ip route add 10.2.0.12/32 dev eth1 src 10.2.0.9
			ip -6 route add fd00:2::12/128 dev eth1 src fd00:2::9`},
		farms{
			"web": oneBackend("snat", listen1, "b1", 8081),
			"two": oneBackend("snat", `"192.0.2.2:80/tcp,udp", "[2001:db8::2]:80/tcp,udp"`, "b2", 0),
			"mas": oneBackend("snat", `"192.0.2.3:80/tcp,udp", "[2001:db8::3]:80/tcp,udp"`, "b2", 0,
				`source-address = "masquerade"`),
		},
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}, sees: "10.2.0.1 fd00:2::1"},
		request{by: "tcp udp", to: "192.0.2.2:80 [2001:db8::2]:80", shares: shares{"b2:80": 1},
			sees: "10.2.0.9 fd00:2::9"},
		request{by: "tcp udp", to: "192.0.2.3:80", shares: shares{"b2:80": 1}, sees: "10.2.0.1"},
	}},
	// the rules name an address that is gone, and the route leads elsewhere now: the kernel finds the source
	{name: "source-of-another-route-since-the-load", steps: steps{
		plainFarm,
		addLink("eth9"),
		runOn{"balancer", `ip route add 10.2.0.11/32 dev eth9 src 10.2.0.2
			ip -6 route add fd00:2::11/128 dev eth9 src fd00:2::2
			ip address delete 10.2.0.1/24 dev eth1
			ip address delete fd00:2::1/64 dev eth1`},
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}, sees: "10.2.0.2 fd00:2::2"},
	}},
	{name: "source-of-a-lease", steps: steps{
		runOn{"balancer", `ip address change 10.2.0.1/24 dev eth1 valid_lft 3000 preferred_lft 3000
			ip address delete fd00:2::1/64 dev eth1
			ip address add fd00:2::1/64 dev eth1 valid_lft 3000 preferred_lft 3000 nodad`},
		plainFarm,
		listed{"chain masquerade-all", "masquerade", "snat"},
		request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}, sees: "10.2.0.1 fd00:2::1"},
	}},
}

// TestWatchFollowsSources runs farmc watch on the balancer and changes addresses, routes and programs of the balancer.
// The rules follow, and open connections go on.
func TestWatchFollowsSources(t *testing.T) {
	t.Parallel()
	s := newTestbed(t, netlab.Options{})
	dir := t.TempDir()
	must(t, writeFile(filepath.Join(dir, "web.toml"), oneBackend("snat", listen1, "b1", 8081)))
	w := startWatch(t, s, dir)
	const ip4, ip6 = "map interface-sources-ip4", "map interface-sources-ip6"
	serves := func(sees string) step {
		return request{by: "tcp udp", to: service1, shares: shares{"b1:8081": 1}, sees: sees}
	}
	for _, change := range []struct {
		name  string
		lines string
		steps steps
	}{
		{"the start", "", steps{
			eventually{listed{ip4, "10.2.0.1 }", ""}}, eventually{listed{ip6, "fd00:2::1 }", ""}},
			serves("10.2.0.1 fd00:2::1"), hold{by: "tcp", to: service1},
		}},
		{"a link restart", restartLink.line, steps{
			// a look between down and up leads to masquerade until the next load
			eventually{listed{ip4, "10.2.0.1 }", ""}}, eventually{listed{ip6, "fd00:2::1 }", ""}},
			serves("10.2.0.1 fd00:2::1"), echo{},
		}},
		{"a link down", "ip link set eth1 down", steps{
			// the kernel tells of the families one after the other, so one load follows both, or one load each
			eventually{w.says("source address on eth1 (IPv4) 10.2.0.1 → masquerade")},
			eventually{w.says("source address on eth1 (IPv6) fd00:2::1 → masquerade")},
		}},
		{"a link up", restartLink.line, steps{
			eventually{listed{ip4, "10.2.0.1 }", ""}}, eventually{listed{ip6, "fd00:2::1 }", ""}},
			serves("10.2.0.1 fd00:2::1"), echo{},
		}},
		{"another route", "ip address add 10.2.0.9/32 dev eth1\nip route add 10.2.0.11/32 dev eth1 src 10.2.0.9", steps{
			eventually{w.says("source address on eth1 (IPv4) 10.2.0.1 → 10.2.0.9: 1 farm loaded in ")},
			eventually{serves("10.2.0.9 fd00:2::1")}, echo{},
		}},
		{"another address", "ip route delete 10.2.0.11/32\nip address add 10.2.0.5/24 dev eth1\n" +
			"ip address delete 10.2.0.1/24 dev eth1\nip address add 10.2.0.5/24 dev eth1", steps{
			eventually{listed{ip4, "10.2.0.5 }", ""}}, serves("10.2.0.5 fd00:2::1"),
		}},
		{"a lease", "ip address change 10.2.0.5/24 dev eth1 valid_lft 3000 preferred_lft 3000", steps{
			eventually{w.says("source address on eth1 (IPv4) 10.2.0.5 → masquerade: 1 farm loaded in ")},
			listed{"chain masquerade-all", ip6[len("map "):], ip4[len("map "):]}, serves("10.2.0.5 fd00:2::1"),
		}},
		{"a permanent address", "ip address change 10.2.0.5/24 dev eth1 valid_lft forever preferred_lft forever", steps{
			eventually{listed{ip4, "10.2.0.5 }", ""}}, serves("10.2.0.5 fd00:2::1"),
		}},
	} {
		err := s.shell(change.lines)()
		if err == nil {
			err = change.steps.do(s)
		}
		if err != nil {
			t.Fatalf("after %s: %v\nfarmc watch said\n%s", change.name, err, w.said.String())
		}
	}
	must(t, steps{
		listed{"set served-ports", "5060", "1812"}, serveOn{"balancer", 1812}, nftScript("table inet other\n"),
		eventually{w.says("this machine serves on port 1812: 1 farm loaded in ")},
		listed{"set served-ports", "1812", ""},
	}.do(s))
}
