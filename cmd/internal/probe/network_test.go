package probe

import (
	"net/netip"
	"testing"

	"farmc/cmd/internal/netlab"
	"farmc/compiler/farm"
)

// Ports that the rules of the backend close in different ways.
const (
	dropped = 81 + iota
	unreachable
	forbidden
	resetting
)

const closedPorts = `table inet t { chain c { type filter hook input priority 0
	meta l4proto { tcp, udp } th dport 81 drop
	meta l4proto { tcp, udp } th dport 82 reject with icmpx host-unreachable
	meta l4proto { tcp, udp } th dport 83 reject with icmpx admin-prohibited
	tcp dport 84 reject with tcp reset
	udp dport 84 reject
}; }`

// Addresses behind routes that lead nowhere.
var nowhere = map[string][2]string{
	"unreachable": {"203.0.112.1", "2001:db8:a::1"},
	"blackhole":   {"203.0.112.2", "2001:db8:b::1"},
	"prohibit":    {"203.0.112.3", "2001:db8:d::1"},
}

func at(kind string) [2]netip.Addr {
	return [2]netip.Addr{netip.MustParseAddr(nowhere[kind][0]), netip.MustParseAddr(nowhere[kind][1])}
}

// Each way in which a network can fail has its reason, at once if the network reports the failure.
func TestReasonsOfNetworks(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for networks that do not answer")
	}
	l := netlab.Test(t, netlab.Options{Backends: 1})
	backend := [2]netip.Addr(addresses(l.Backends[0]))
	load(t, l.Backends[0], closedPorts)
	for kind, to := range nowhere {
		for _, address := range to {
			if _, err := l.Balancer.Run(t.Context(), "", "ip", "route", "add", kind, address); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name    string
		to      [2]netip.Addr
		port    uint16
		reasons [2]string // of both families
	}{
		{"unreachable host", backend, unreachable, [2]string{"host unreachable", "host unreachable"}},
		// Linux reports the code of IPv4 as EHOSTUNREACH (icmp_err_convert in net/ipv4/icmp.c).
		{"forbidden host", backend, forbidden, [2]string{"host unreachable", "prohibited by a route or firewall"}},
		{"reset", backend, resetting, [2]string{"connection refused", "connection refused"}},
		{"unreachable route", at("unreachable"), 80, [2]string{"host unreachable", "host unreachable"}},
		{"blackhole route", at("blackhole"), 80, [2]string{"network unreachable", "network unreachable"}},
		{"prohibiting route", at("prohibit"), 80, [2]string{"prohibited by a route or firewall",
			"prohibited by a route or firewall"}},
	}
	for _, tt := range tests {
		for family, address := range tt.to {
			for _, kind := range []farm.HealthType{farm.HealthTCP, farm.HealthHTTP, farm.HealthTLS, farm.HealthUDP} {
				got := checkFrom(l.Balancer, target(address, tt.port, a(kind)))
				want(t, tt.name+", "+string(kind)+" at "+address.String(), got, false, tt.reasons[family])
			}
		}
	}
	for _, address := range backend {
		for kind, reason := range map[farm.HealthType]string{farm.HealthTCP: "no connection in 500ms",
			farm.HealthHTTP: "no connection in 500ms", farm.HealthTLS: "no connection in 500ms"} {
			got := checkFrom(l.Balancer, target(address, dropped, a(kind, timeout(soon))))
			want(t, "dropped, "+string(kind)+" at "+address.String(), got, false, reason)
		}
		got := checkFrom(l.Balancer, target(address, dropped, a(farm.HealthUDP, expect("x"), timeout(soon))))
		want(t, "dropped, udp at "+address.String(), got, false, "no answer in 500ms")
	}
}

// Checks come from the source address of the farm, and say so if this machine does not have it.
func TestSourceAddress(t *testing.T) {
	t.Parallel()
	l := netlab.Test(t, netlab.Options{Backends: 1})
	if err := l.Balancer.Sysctl("net.ipv6.ip_nonlocal_bind", "0"); err != nil {
		t.Fatal(err)
	}
	sources := farm.Addresses{netip.MustParseAddr("10.2.0.77"), netip.MustParseAddr("fd00:2::77")}
	serve(t, l.Backends[0], 80, answers(ok))
	serveUDP(t, l.Backends[0], 80, "pong")
	load(t, l.Backends[0], `table inet t { chain c { type filter hook input priority 0
		ip saddr 10.2.0.77 accept
		ip6 saddr fd00:2::77 accept
		meta l4proto { tcp, udp } drop
		icmp type echo-request drop
		icmpv6 type echo-request drop
	}; }`)
	from := func(h *farm.Health) { h.Source = sources }
	kinds := []farm.HealthType{farm.HealthTCP, farm.HealthHTTP, farm.HealthUDP, farm.HealthICMP}
	for family, address := range addresses(l.Backends[0]) {
		for _, kind := range kinds {
			got := checkFrom(l.Balancer, target(address, 80, a(kind, from)))
			if !got.Unknown || got.Reason != "source address is not on this machine" {
				t.Errorf("%s at %s: %+v", kind, address, got)
			}
		}
		if err := l.Balancer.AddAddress("eth1", netip.PrefixFrom(sources[family], address.BitLen())); err != nil {
			t.Fatal(err)
		}
		for _, kind := range kinds {
			if got := checkFrom(l.Balancer, target(address, 80, a(kind, from))); !got.Healthy {
				t.Errorf("%s at %s: %+v", kind, address, got)
			}
		}
	}
}

// Datagrams that this machine drops itself say nothing about the backend.
func TestOwnRules(t *testing.T) {
	t.Parallel()
	l := netlab.Test(t, netlab.Options{Backends: 1})
	load(t, l.Balancer, `table inet t { chain c { type filter hook output priority 0
		meta l4proto udp drop
	}; }`)
	for _, address := range addresses(l.Backends[0]) {
		for _, kind := range []farm.HealthType{farm.HealthUDP, farm.HealthDNS} {
			got := checkFrom(l.Balancer, target(address, 53, a(kind, send("x"))))
			if !got.Unknown || got.Reason != "prohibited by the rules of this machine" {
				t.Errorf("%s at %s: %+v", kind, address, got)
			}
		}
	}
}
