package conntrack

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"

	"farmc/cmd/internal/netlab"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { os.Exit(netlab.Main(m)) }

// balancer is a machine of its own that tracks so many connections, to ten servers, of which the first is 10.2.0.0.
func balancer(t testing.TB, family Family, connections int) *netlab.Host {
	t.Helper()
	lab := netlab.Test(t, netlab.Options{Backends: 1})
	err := lab.Balancer.Do(func() error {
		h, err := netlink.NewHandle(unix.NETLINK_NETFILTER)
		if err != nil {
			return err
		}
		defer h.Close()
		for n := range connections {
			if err := h.ConntrackCreate(netlink.ConntrackTable, netlink.InetFamily(family), tracked(family, n)); err != nil {
				return fmt.Errorf("connection %d: %w", n, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lab.Balancer
}

// tracked is the nth connection: from a port of one client to a service, answered by one of ten servers.
func tracked(family Family, n int) *netlink.ConntrackFlow {
	client, service, server := net.IP{198, 51, 100, byte(n >> 16)}, net.IP{192, 0, 2, 1}, net.IP{10, 2, 0, byte(n % 10)}
	if family == IP6 {
		client, service, server = net.ParseIP(fmt.Sprintf("2001:db8:c::%x", n>>16)), net.ParseIP("2001:db8::1"), net.ParseIP(fmt.Sprintf("fd00:2::%x", n%10))
	}
	port := uint16(n)
	return &netlink.ConntrackFlow{
		FamilyType: uint8(family),
		Forward:    netlink.IPTuple{Protocol: unix.IPPROTO_UDP, SrcIP: client, DstIP: service, SrcPort: port, DstPort: 53},
		Reverse:    netlink.IPTuple{Protocol: unix.IPPROTO_UDP, SrcIP: server, DstIP: client, SrcPort: 5353, DstPort: port},
		TimeOut:    600,
	}
}

func flows(t testing.TB, h *netlab.Host, sight Sight) (all []Flow) {
	t.Helper()
	if err := h.Do(func() error {
		return Each(t.Context(), sight, func(f Flow) bool {
			all = append(all, f)
			return true
		})
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// Only what is in sight is shown, and only what is cut goes.
func TestSightAndCut(t *testing.T) {
	t.Parallel()
	b := balancer(t, IP4, 200)
	server := netip.MustParseAddr("10.2.0.3")
	seen := flows(t, b, Sight{Server: server})
	if len(seen) != 20 {
		t.Fatalf("%d connections to %s are seen, want 20", len(seen), server)
	}
	want := Flow{Protocol: unix.IPPROTO_UDP, To: netip.MustParseAddrPort("192.0.2.1:53"), Server: netip.AddrPortFrom(server, 5353)}
	for _, f := range seen {
		if f.Protocol != want.Protocol || f.To != want.To || f.Server != want.Server || f.Translated {
			t.Fatalf("seen as %v", f)
		}
	}
	if n := len(flows(t, b, Sight{To: want.To.Addr()})); n != 200 {
		t.Errorf("%d connections that were opened to %s are seen, want 200", n, want.To)
	}
	if n := len(flows(t, b, Sight{Server: server, To: netip.MustParseAddr("192.0.2.9")})); n != 0 {
		t.Errorf("%d connections to %s are seen, want none", n, "192.0.2.9")
	}
	for _, f := range seen {
		if err := b.Do(func() error { return Cut(f) }); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(flows(t, b, Sight{})); n != 180 {
		t.Errorf("%d connections are left, want 180", n)
	}
	if err := b.Do(func() error { return Cut(seen[0]) }); err != nil {
		t.Errorf("one that is gone: %v", err)
	}
}

func TestSightOfIP6(t *testing.T) {
	t.Parallel()
	b := balancer(t, IP6, 50)
	seen := flows(t, b, Sight{Family: IP6})
	if len(seen) != 50 || seen[0].To != netip.MustParseAddrPort("[2001:db8::1]:53") {
		t.Fatalf("%d connections are seen, want 50, such as %v", len(seen), seen[:min(1, len(seen))])
	}
	if n := len(flows(t, b, Sight{})); n != 0 {
		t.Errorf("%d connections of IPv6 are seen as of IPv4", n)
	}
}

// Of 50,000 connections those to one of ten servers.
func BenchmarkEach(b *testing.B) {
	h := balancer(b, IP4, 50_000)
	for name, sight := range map[string]Sight{"all": {}, "one server": {Server: netip.MustParseAddr("10.2.0.3")}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if n := len(flows(b, h, sight)); n < 5000 {
					b.Fatalf("%d connections", n)
				}
			}
		})
	}
}
