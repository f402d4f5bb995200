package netlab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

// patience is the time limit for an answer. It is reached only if a test fails.
const patience = time.Minute

var networks = []string{"tcp4", "udp4", "tcp6", "udp6"}

// firstAddress is a host's first address of the family.
func firstAddress(h *Host, network string) netip.Addr {
	if strings.HasSuffix(network, "6") {
		return h.IP6[0]
	}
	return h.IP4[0]
}

// vip is the address of the first service.
func vip(network string) netip.Addr {
	if strings.HasSuffix(network, "6") {
		return netip.MustParseAddr("2001:db8::1")
	}
	return netip.MustParseAddr("192.0.2.1")
}

// servingLab is a lab in which the backends answer on port 80.
func servingLab(t *testing.T, options Options) *Lab {
	t.Helper()
	l := Test(t, options)
	if err := l.Serve(80); err != nil {
		t.Fatal(err)
	}
	return l
}

// load runs an nft script on the balancer.
func load(t *testing.T, l *Lab, script string) {
	t.Helper()
	if _, err := l.Balancer.Run(t.Context(), script, "nft", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

// Requests reach the backends by plain routing, with the client's address.
func TestRouting(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]Options{
		"two-armed":   {},
		"one-armed":   {OneArmed: true},
		"one backend": {Backends: 1},
		"most":        {Backends: MaxBackends},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := servingLab(t, options)
			for _, network := range networks {
				for _, b := range l.Backends {
					to := netip.AddrPortFrom(firstAddress(b, network), 80)
					a, err := l.Client.Ask(network, netip.Addr{}, to, patience)
					if err != nil || a.Backend != b.Name || a.Local != to ||
						a.Peer.Addr() != firstAddress(l.Client, network) {
						t.Fatalf("%s to %s %s: %v, %v", network, b.Name, to, a, err)
					}
				}
			}
		})
	}
}

// The client can use any of its addresses as a source.
func TestManyClients(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]Options{"two-armed": {}, "one-armed": {OneArmed: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := servingLab(t, options)
			clients := append(l.Client.IP4[:len(l.Client.IP4):len(l.Client.IP4)], l.Client.IP6...)
			if name == "two-armed" {
				clients = append(clients, netip.MustParseAddr("198.51.100.255"),
					netip.MustParseAddr("2001:db8:c:ffff::1"))
			}
			for _, client := range clients {
				network := "udp4"
				if client.Is6() {
					network = "udp6"
				}
				a, err := l.Client.Ask(network, client, netip.AddrPortFrom(firstAddress(l.Backends[0], network), 80),
					patience)
				if err != nil || a.Peer.Addr() != client {
					t.Fatalf("client %s: %v, %v", client, a, err)
				}
			}
		})
	}
}

// A script on one lab's balancer sends a service's clients to a backend of the same lab.
func TestDNAT(t *testing.T) {
	t.Parallel()
	for _, options := range []Options{{}, {}, {OneArmed: true}, {OneArmed: true}} {
		for i := range 3 {
			t.Run(fmt.Sprintf("%v b%d", options, i+1), func(t *testing.T) {
				t.Parallel()
				l := servingLab(t, options)
				b := l.Backends[i]
				load(t, l, fmt.Sprintf(`table inet t {
					chain prerouting {
						type nat hook prerouting priority dstnat
						ip daddr 192.0.2.1 meta l4proto { tcp, udp } th dport 8080 dnat ip to %s:80
						ip6 daddr 2001:db8::1 meta l4proto { tcp, udp } th dport 8080 dnat ip6 to [%s]:80
					}
					chain postrouting {
						type nat hook postrouting priority srcnat
						ct status dnat masquerade
					}
				}`, b.IP4[0], b.IP6[0]))
				for _, network := range networks {
					a, err := l.Client.Ask(network, netip.Addr{}, netip.AddrPortFrom(vip(network), 8080), patience)
					if err != nil || a.Backend != b.Name || a.Local != netip.AddrPortFrom(firstAddress(b, network),
						80) {
						t.Fatalf("%s: %v, %v", network, a, err)
					}
				}
			})
		}
	}
}

// Packets with wrong checksums are dropped, as on a real wire: "th dport set" does not update the checksum, "tcp
// dport set" and "udp dport set" do.
func TestChecksumsCount(t *testing.T) {
	t.Parallel()
	l := Test(t, Options{})
	if err := l.Serve(8081, 8082); err != nil {
		t.Fatal(err)
	}
	load(t, l, `table inet t {
		chain prerouting {
			type filter hook prerouting priority raw
			th dport 81 th dport set 8081
			tcp dport 82 tcp dport set 8082
			udp dport 82 udp dport set 8082
		}
		chain postrouting {
			type filter hook postrouting priority srcnat
			tcp sport 8081 tcp sport set 81
			udp sport 8081 udp sport set 81
			tcp sport 8082 tcp sport set 82
			udp sport 8082 udp sport set 82
		}
	}`)
	for _, network := range networks {
		to := firstAddress(l.Backends[0], network)
		if a, err := l.Client.Ask(network, netip.Addr{}, netip.AddrPortFrom(to, 82), patience); err != nil {
			t.Errorf("%s with right checksums: %v, %v", network, a, err)
		}
		if a, err := l.Client.Ask(network, netip.Addr{}, netip.AddrPortFrom(to, 81),
			100*time.Millisecond); !TimedOut(err) {
			t.Errorf("%s with wrong checksums: %v, %v", network, a, err)
		}
	}
}

// The options NoVIPs and NoForwarding leave out addresses and forwarding.
func TestOptions(t *testing.T) {
	t.Parallel()
	t.Run("forwarding", func(t *testing.T) {
		t.Parallel()
		l := servingLab(t, Options{NoForwarding: true})
		for _, network := range networks {
			a, err := l.Client.Ask(network, netip.Addr{}, netip.AddrPortFrom(firstAddress(l.Backends[0], network), 80),
				200*time.Millisecond)
			if !TimedOut(err) {
				t.Errorf("%s: %v, %v", network, a, err)
			}
		}
	})
	t.Run("addresses of services", func(t *testing.T) {
		t.Parallel()
		l := Test(t, Options{NoVIPs: true})
		for _, network := range networks {
			if a, err := l.Client.Ping(netip.Addr{}, vip(network), 100*time.Millisecond); err == nil {
				t.Errorf("%s: %v", network, a)
			}
		}
	})
	t.Run("too many backends", func(t *testing.T) {
		t.Parallel()
		if _, err := New(Options{Backends: MaxBackends + 1}); err == nil {
			t.Error("none refused")
		}
	})
}

// After a lab is closed no thread and no file of this process holds a namespace, and the machine is as it was. It
// doesn't run in parallel, so no other lab is open.
func TestNothingRemains(t *testing.T) {
	before := machine(t)
	open := sockets(t)
	l := servingLab(t, Options{})
	c, err := l.Client.Dial("tcp4", netip.AddrPort{}, netip.AddrPortFrom(l.Backends[0].IP4[0], 80), patience)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadAnswer(c); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("the connection goes on: %d bytes", n)
	}
	if now := sockets(t); now != open {
		t.Errorf("%d sockets and namespaces are open, before it were %d", now, open)
	}
	if after := machine(t); after != before {
		t.Errorf("the machine was\n%s\nand is\n%s", before, after)
	}
	own := link(t, ownNamespace)
	threads, _ := filepath.Glob("/proc/self/task/*/ns/net")
	for _, thread := range threads {
		if at, err := os.Readlink(thread); err == nil && at != own {
			t.Errorf("%s is in %s", thread, at)
		}
	}
	if err := l.Client.Do(func() error { return nil }); err == nil {
		t.Error("a closed lab can be entered")
	}
}

// sockets counts the sockets and namespaces that this process has open.
func sockets(t *testing.T) (n int) {
	t.Helper()
	files, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if to, err := os.Readlink(file); err == nil && (strings.HasPrefix(to, "net:") ||
			strings.HasPrefix(to, "socket:")) {
			n++
		}
	}
	return n
}

// machine describes the network that the tests run on.
func machine(t *testing.T) string {
	t.Helper()
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	forward, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	if err != nil {
		t.Fatal(err)
	}
	ttl, err := os.ReadFile("/proc/sys/net/ipv4/ip_default_ttl")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%v, forward %sttl %s", interfaces, forward, ttl)
}

func link(t *testing.T, path string) string {
	t.Helper()
	to, err := os.Readlink(path)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// Transmit checksum offload is off on every link.
func TestOffloadIsOff(t *testing.T) {
	t.Parallel()
	l := Test(t, Options{})
	for _, h := range l.hosts {
		links, err := h.net.LinkList()
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range links[1:] {
			on, err := h.ethtool(link.Attrs().Name, unix.ETHTOOL_GTXCSUM, 0)
			if err != nil || on != 0 {
				t.Errorf("%s of %s: %d, %v", link.Attrs().Name, h.Name, on, err)
			}
		}
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		l, err := New(Options{})
		if err != nil {
			b.Fatal(err)
		}
		l.Close()
	}
}

func BenchmarkAsk(b *testing.B) {
	l := Test(b, Options{})
	if err := l.Serve(80); err != nil {
		b.Fatal(err)
	}
	for _, network := range networks {
		b.Run(network, func(b *testing.B) {
			for b.Loop() {
				if _, err := l.Client.Ask(network, netip.Addr{},
					netip.AddrPortFrom(firstAddress(l.Backends[0], network), 80), patience); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestCluster: clients reach backends by the router, and by a balancer only while it is plugged in.
func TestCluster(t *testing.T) {
	l := Test(t, Options{Balancers: 2, Backends: 1})
	if err := errors.Join(l.Serve(80), l.Router.AddRoute(netip.MustParsePrefix("192.0.2.1/32"),
		netip.MustParseAddr("10.1.0.12")), l.Balancers[1].AddRoute(netip.MustParsePrefix("192.0.2.1/32"),
		netip.MustParseAddr("10.2.0.11"))); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"10.2.0.11:80", "[fd00:2::11]:80", "192.0.2.1:80"} {
		if got := ask(t, l, to); got != "b1" {
			t.Errorf("%s answers at %s", got, to)
		}
	}
	if err := l.Unplug(l.Balancers[1]); err != nil {
		t.Fatal(err)
	}
	_, err := l.Client.Ask("tcp4", l.Client.IP4[0], netip.MustParseAddrPort("192.0.2.1:80"), time.Second)
	if !TimedOut(err) {
		t.Errorf("without the balancer: %v", err)
	}
	if err := l.PlugAgain(l.Balancers[1]); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, l, "192.0.2.1:80"); got != "b1" {
		t.Errorf("%s answers after all", got)
	}
}

func ask(t *testing.T, l *Lab, to string) string {
	t.Helper()
	at := netip.MustParseAddrPort(to)
	network, client := "tcp4", l.Client.IP4[0]
	if at.Addr().Is6() {
		network, client = "tcp6", l.Client.IP6[0]
	}
	answer, err := l.Client.Ask(network, client, at, patience)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Backend
}
