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

// balancerWith is a balancer with a number of conntrack entries, for ten backends from 10.2.0.0 on.
func balancerWith(t testing.TB, family Family, connections int) *netlab.Host {
	t.Helper()
	lab := netlab.Test(t, netlab.Options{Backends: 1})
	if err := lab.Balancer.Do(func() error { return createEntries(family, connections) }); err != nil {
		t.Fatal(err)
	}
	return lab.Balancer
}

// createEntries creates the first entries of a family in the thread's network namespace.
func createEntries(family Family, connections int) error {
	h, err := netlink.NewHandle(unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer h.Close()
	for n := range connections {
		if err := h.ConntrackCreate(netlink.ConntrackTable, netlink.InetFamily(family),
			connection(family, n)); err != nil {
			return fmt.Errorf("connection %d: %w", n, err)
		}
	}
	return nil
}

// connection is the nth entry: from a port of one client to a frontend, with one of ten backends.
func connection(family Family, n int) *netlink.ConntrackFlow {
	client, service, server := net.IP{198, 51, 100, byte(n >> 16)}, net.IP{192, 0, 2, 1}, net.IP{10, 2, 0, byte(n % 10)}
	if family == IP6 {
		client, service, server = net.ParseIP(fmt.Sprintf("2001:db8:c::%x", n>>16)), net.ParseIP("2001:db8::1"),
			net.ParseIP(fmt.Sprintf("fd00:2::%x", n%10))
	}
	port := uint16(n)
	return &netlink.ConntrackFlow{
		FamilyType: uint8(family),
		Forward: netlink.IPTuple{Protocol: unix.IPPROTO_UDP, SrcIP: client, DstIP: service, SrcPort: port,
			DstPort: 53},
		Reverse: netlink.IPTuple{Protocol: unix.IPPROTO_UDP, SrcIP: server, DstIP: client, SrcPort: 5353,
			DstPort: port},
		TimeOut: 600,
	}
}

func entries(t testing.TB, h *netlab.Host, filter Filter) (all []Entry) {
	t.Helper()
	if err := h.Do(func() error {
		return Dump(t.Context(), filter, func(f Entry) bool {
			all = append(all, f)
			return true
		})
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// Dump shows the entries that match the filter, and Delete deletes one entry.
func TestFilterAndDelete(t *testing.T) {
	t.Parallel()
	b := balancerWith(t, IP4, 200)
	server := netip.MustParseAddr("10.2.0.3")
	seen := entries(t, b, Filter{ReplySource: server})
	if len(seen) != 20 {
		t.Fatalf("%d entries of %s, want 20", len(seen), server)
	}
	want := Entry{Protocol: unix.IPPROTO_UDP, OriginalDestination: netip.MustParseAddrPort("192.0.2.1:53"),
		ReplySource: netip.AddrPortFrom(server, 5353)}
	for _, f := range seen {
		if f.Protocol != want.Protocol || f.OriginalDestination != want.OriginalDestination ||
			f.ReplySource != want.ReplySource || f.DestinationNAT {
			t.Fatalf("seen as %v", f)
		}
	}
	if n := len(entries(t, b, Filter{OriginalDestination: want.OriginalDestination.Addr()})); n != 200 {
		t.Errorf("%d connections that were opened to %s are seen, want 200", n, want.OriginalDestination)
	}
	if n := len(entries(t, b, Filter{ReplySource: server,
		OriginalDestination: netip.MustParseAddr("192.0.2.9")})); n != 0 {
		t.Errorf("%d entries of %s, want none", n, "192.0.2.9")
	}
	for _, f := range seen {
		if err := b.Do(func() error { return Delete(f) }); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(entries(t, b, Filter{})); n != 180 {
		t.Errorf("%d connections are left, want 180", n)
	}
	if err := b.Do(func() error { return Delete(seen[0]) }); err != nil {
		t.Errorf("one that is gone: %v", err)
	}
}

func TestFilterOfIP6(t *testing.T) {
	t.Parallel()
	b := balancerWith(t, IP6, 50)
	seen := entries(t, b, Filter{Family: IP6})
	if len(seen) != 50 || seen[0].OriginalDestination != netip.MustParseAddrPort("[2001:db8::1]:53") {
		t.Fatalf("%d connections are seen, want 50, such as %v", len(seen), seen[:min(1, len(seen))])
	}
	if n := len(entries(t, b, Filter{})); n != 0 {
		t.Errorf("%d connections of IPv6 are seen as of IPv4", n)
	}
}

// DumpAll shows each entry of both families once, and Count gives their number.
func TestDumpAll(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ ip4, ip6 int }{{0, 0}, {0, 1}, {20, 30}} {
		b := balancerWith(t, IP4, c.ip4)
		if err := b.Do(func() error { return createEntries(IP6, c.ip6) }); err != nil {
			t.Fatal(err)
		}
		var ip4, ip6, count int
		err := b.Do(func() error {
			count, _ = Count()
			return DumpAll(t.Context(), func(e Entry) {
				if e.OriginalDestination.Addr().Is6() {
					ip6++
				} else {
					ip4++
				}
			})
		})
		if err != nil || ip4 != c.ip4 || ip6 != c.ip6 || count != ip4+ip6 {
			t.Errorf("%v: %d and %d of %d entries, %v", c, ip4, ip6, count, err)
		}
	}
}

// Find shows the entry of the client's port alone.
func TestFind(t *testing.T) {
	t.Parallel()
	for family, addresses := range map[Family][2]string{IP4: {"198.51.100.0", "192.0.2.1"},
		IP6: {"2001:db8:c::", "2001:db8::1"}} {
		b := balancerWith(t, family, 50)
		client, service := netip.MustParseAddr(addresses[0]), netip.MustParseAddr(addresses[1])
		for _, q := range []struct {
			protocol      int
			client, port  uint16
			wantBackend   byte
			wantConnected bool
		}{
			{unix.IPPROTO_UDP, 43, 53, 3, true},
			{unix.IPPROTO_UDP, 44, 53, 4, true},
			{unix.IPPROTO_UDP, 50, 53, 0, false},
			{unix.IPPROTO_UDP, 43, 54, 0, false},
			{unix.IPPROTO_TCP, 43, 53, 0, false},
		} {
			var e Entry
			var found bool
			err := b.Do(func() (err error) {
				from, to := netip.AddrPortFrom(client, q.client), netip.AddrPortFrom(service, q.port)
				e, found, err = Find(q.protocol, from, to)
				return err
			})
			if err != nil || found != q.wantConnected {
				t.Fatalf("%v: %t, %v", q, found, err)
			}
			if last := e.ReplySource.Addr().AsSlice(); found && last[len(last)-1] != q.wantBackend {
				t.Errorf("%v: answered by %s", q, e.ReplySource)
			}
		}
	}
}

// BenchmarkDump reads all of 50,000 entries, or the entries of one backend of ten.
func BenchmarkDump(b *testing.B) {
	h := balancerWith(b, IP4, 50_000)
	for name, filter := range map[string]Filter{"all": {},
		"one server": {ReplySource: netip.MustParseAddr("10.2.0.3")}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if n := len(entries(b, h, filter)); n < 5000 {
					b.Fatalf("%d connections", n)
				}
			}
		})
	}
}
