package machine

import (
	"net/netip"
	"strings"
	"testing"

	"farmc/cmd/internal/netlab"

	"golang.org/x/sys/unix"
)

// manyRoutes has each kind of route, and policies that select tables.
const manyRoutes = `
	ip route add 10.3.0.0/16 via 10.2.0.11
	ip route add 10.3.7.0/24 via 10.2.0.12
	ip route add 10.3.7.7/32 via 203.0.113.2
	ip route add 10.3.8.0/24 via 10.2.0.11 metric 20
	ip route add 10.3.8.0/24 via 10.2.0.12 metric 10
	ip route add 10.3.9.0/24 via 10.2.0.11 src 192.0.2.1
	ip route add blackhole 10.4.0.0/16
	ip route add unreachable 10.5.0.0/16
	ip route add prohibit 10.6.0.0/16
	ip route add 10.6.6.0/24 dev eth1
	ip route add throw 10.7.0.0/16 table 100
	ip route add 10.7.1.0/24 via 10.2.0.12
	ip route add default via 10.2.0.77 table 100
	ip route add 10.9.0.0/16 nexthop via 10.2.0.11 nexthop via 10.2.0.12 nexthop via 203.0.113.2
	ip route add local 192.0.2.128/25 dev lo
	ip rule add to 10.7.0.0/17 lookup 100
	ip rule add to 10.8.0.0/17 lookup 100
	ip route add default via 203.0.113.2
	ip route add default via 203.0.113.2 metric 50
	ip -6 route add fd03::/32 via fd00:2::11
	ip -6 route add fd03:0:7::/48 via fd00:2::12
	ip -6 route add blackhole fd04::/32
	ip -6 route add unreachable fd05::/32
	ip -6 route add local fd06::/64 dev lo
	ip -6 route add fd07::/32 via fd00:2::11
	ip -6 address add fd08::1/64 dev eth1 nodad
	ip -6 address add fd07:1::1/128 dev eth1 nodad
	ip -6 route add fd09::/32 via fd00:2::11 metric 5
	ip -6 route append fd09::/32 via fd00:2::12 metric 5
	for own in "local fd08::1" "anycast fd08::" "local fd07:1::1"; do # the kernel adds these a moment later
		until ip -6 route show table local | grep -q "^$own "; do sleep 0.1; done
	done`

// The route of a range is the one that the kernel has for each address of it.
func TestRoutesOfRanges(t *testing.T) {
	onBalancer(t, manyRoutes, func() {
		shared, single := &Routes{}, &Routes{}
		defer shared.Close()
		defer single.Close()
		if err := single.open(); err != nil || single.ranges == nil {
			t.Fatalf("the routes are not read: %v", err)
		}
		single.ranges = nil // ask for each address
		addresses := testAddresses()
		for _, a := range addresses {
			got, err := shared.Get(a)
			want, wantErr := single.Get(a)
			_, several := a.Prefix(16)
			if err != wantErr || several == nil && got.Type != want.Type {
				t.Errorf("%s: %v, %v; want %v, %v", a, got, err, want, wantErr)
			}
			if got, want := shared.To(a), single.To(a); got != want {
				t.Errorf("%s: %v, want %v", a, got, want)
			}
		}
		if shared.asked*4 > len(addresses)*3 {
			t.Errorf("%d questions for %d addresses", shared.asked, len(addresses))
		}
	})
}

// testAddresses are addresses in and around the destinations of manyRoutes.
func testAddresses() (out []netip.Addr) {
	const around = `10.2.0.0 10.2.0.11 10.2.0.200 10.3.0.0 10.3.7.0 10.3.7.7 10.3.8.0 10.3.9.0 10.4.0.0 10.5.0.0
		10.6.0.0 10.6.6.0 10.7.0.0 10.7.1.0 10.7.128.0 10.8.0.0 10.8.128.0 10.9.0.0 192.0.2.1 192.0.2.128
		198.51.100.7 203.0.113.0 8.8.8.8 127.0.0.1 255.255.255.200 fd00:2:: fd03:: fd03:0:7:: fd04:: fd05::
		fd06:: fd07:: fd07:1:: fd08:: fd09:: 2001:db8:: 2001:db8:c::9 2001:4860::8888 ::1`
	for _, text := range strings.Fields(around) {
		a := netip.MustParseAddr(text)
		out = append(out, a.Prev())
		for range 20 {
			out = append(out, a)
			a = a.Next()
		}
	}
	return out
}

// A backend behind a route with several next hops has the one that the kernel chooses for it.
func TestRoutesWithSeveralNextHops(t *testing.T) {
	const routes = `ip route add 10.9.0.0/16 nexthop via 10.2.0.11 nexthop via 203.0.113.2
		sysctl -qw net.ipv4.fib_multipath_hash_policy=0`
	onBalancer(t, routes, func() {
		r := &Routes{}
		defer r.Close()
		interfaces := map[string]bool{}
		for a := netip.MustParseAddr("10.9.0.1"); a != netip.MustParseAddr("10.9.0.100"); a = a.Next() {
			interfaces[r.To(a).Interface] = true
		}
		if len(interfaces) != 2 {
			t.Errorf("got %v, want both interfaces", interfaces)
		}
	})
}

// The kernel is asked once for 1000 backends behind one route, and not more often than allowed.
func TestQuestions(t *testing.T) {
	onBalancer(t, "", func() {
		r := &Routes{MaxQuestions: 2}
		defer r.Close()
		a := netip.MustParseAddr("10.2.0.20")
		for range 200 {
			if got := r.To(a); got.Interface == "" || got.Source != netip.MustParseAddr("10.2.0.1") {
				t.Fatalf("%s: %v", a, got)
			}
			a = a.Next()
		}
		if r.asked != 1 {
			t.Errorf("%d questions, want 1", r.asked)
		}
		r.Get(netip.MustParseAddr("127.0.0.1"))
		if _, err := r.Get(netip.MustParseAddr("8.8.8.8")); err != ErrTooManyQuestions {
			t.Errorf("after 2 questions: %v", err)
		}
		r.MaxQuestions = 0
		if _, err := r.Get(netip.MustParseAddr("9.9.9.9")); err != ErrTooManyQuestions && err != unix.ENETUNREACH {
			t.Errorf("without a limit: %v", err)
		}
	})
}

// onBalancer calls test in the namespace of a balancer after shell commands.
func onBalancer(t *testing.T, commands string, test func()) {
	t.Helper()
	lab := netlab.Test(t, netlab.Options{Backends: 2})
	if _, err := lab.Balancer.Run(t.Context(), "", "sh", "-ec", commands); err != nil {
		t.Fatal(err)
	}
	if err := lab.Balancer.Do(func() error { test(); return nil }); err != nil {
		t.Fatal(err)
	}
}
