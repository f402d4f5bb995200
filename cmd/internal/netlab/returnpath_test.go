package netlab

import (
	"bytes"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

// The backends have the services' addresses, answer past the balancer, and do not answer ARP requests for them.
func TestDirectReturn(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]Options{
		"two-armed": {BackendVIPs: true, DirectReturn: true, NoForwarding: true},
		"one-armed": {BackendVIPs: true, DirectReturn: true, NoForwarding: true, OneArmed: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := servingLab(t, options)
			device := map[string]string{"two-armed": "eth1", "one-armed": "eth0"}[name]
			load(t, l, `table netdev direct {
				chain ingress {
					type filter hook ingress device "eth0" priority filter
					tcp dport 80 fwd ip to 10.2.0.12 device "`+device+`"
				}
			}`)
			to := netip.AddrPortFrom(vip("tcp4"), 80)
			for _, client := range []netip.Addr{l.Client.IP4[0], l.Client.IP4[len(l.Client.IP4)-1]} {
				a, err := l.Client.Ask("tcp4", client, to, patience)
				if err != nil || a.Backend != "b2" || a.Local != to || a.Peer.Addr() != client {
					t.Errorf("as %s: %v, %v", client, a, err)
				}
			}
			if _, err := l.Client.Run(t.Context(), "", "ip", "route", "add", "192.0.2.9/32", "via",
				"10.2.0.12"); err != nil {
				t.Fatal(err)
			}
			if a, err := l.Client.Ask("tcp4", netip.Addr{}, netip.MustParseAddrPort("192.0.2.9:80"),
				patience); err != nil || a.Backend != "b2" {
				t.Errorf("b2 at 192.0.2.9: %v, %v", a, err)
			}
		})
	}
}

// A packet of SendPacket arrives unchanged, with checksums that the kernel accepts.
func TestPackets(t *testing.T) {
	t.Parallel()
	l := Test(t, Options{})
	b := l.Backends[0]
	tap, err := b.Tap("eth0")
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	for _, network := range []string{"4", "6"} {
		from, to := firstAddress(l.Client, network), firstAddress(b, network)
		unreachable := Unreachable.About(Packet(to, from, 17, []byte{0, 80, 1, 0, 0, 8, 0, 0}), from, 0)
		for _, packet := range [][]byte{Packet(from, to, 132, SCTPInit(5000, 80)), unreachable} {
			if err := l.Client.SendPacket(packet); err != nil {
				t.Fatal(err)
			}
			tail := packet[len(packet)-8:]
			if _, err := tap.Next(patience, func(got []byte) bool { return bytes.HasSuffix(got, tail) }); err != nil {
				t.Errorf("IPv%s: %x does not arrive: %v", network, packet, err)
			}
		}
	}
	if _, err := tap.Next(10*time.Millisecond, func([]byte) bool { return false }); !TimedOut(err) {
		t.Errorf("nothing fits, and %v", err)
	}
	if got := icmpv6(t, b); got["Icmp6InDestUnreachs"] != "1" || got["Icmp6InCsumErrors"] != "0" {
		t.Errorf("the kernel counts %v", got)
	}
}

// icmpv6 are the kernel's ICMPv6 counters.
func icmpv6(t *testing.T, h *Host) map[string]string {
	t.Helper()
	counters := map[string]string{}
	err := h.Do(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/snmp6")
		for line := range strings.Lines(string(text)) {
			if words := strings.Fields(line); len(words) == 2 {
				counters[words[0]] = words[1]
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return counters
}
