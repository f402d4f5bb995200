package netlab

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// A port without a server is refused, by both protocols, at every request (the kernel limits ICMP errors by default).
func TestRefused(t *testing.T) {
	t.Parallel()
	l := Test(t, Options{})
	for _, network := range networks {
		counts, err := Spread(300, func(int) (Answer, error) {
			a, err := l.Client.Ask(network, netip.Addr{}, netip.AddrPortFrom(firstAddress(l.Backends[0], network), 80),
				patience)
			if errors.Is(err, syscall.ECONNREFUSED) && !TimedOut(err) {
				return Answer{Backend: "refused"}, nil
			}
			return a, err
		})
		if err != nil || counts["refused"] != 300 {
			t.Errorf("%s: %v, %v", network, counts, err)
		}
	}
}

// A request without an answer times out, and is not refused.
func TestTimedOut(t *testing.T) {
	t.Parallel()
	l := servingLab(t, Options{})
	load(t, l, `table inet t { chain c { type filter hook forward priority 0; policy drop; }; }`)
	for _, network := range networks {
		start := time.Now()
		a, err := l.Client.Ask(network, netip.Addr{}, netip.AddrPortFrom(firstAddress(l.Backends[0], network), 80),
			100*time.Millisecond)
		if !TimedOut(err) || errors.Is(err, syscall.ECONNREFUSED) || time.Since(start) > patience {
			t.Errorf("%s: %v, %v after %s", network, a, err, time.Since(start))
		}
	}
}

// A connection stays open until either side closes it.
func TestEcho(t *testing.T) {
	t.Parallel()
	l := Test(t, Options{})
	server, err := l.Backends[0].Serve(80, 443)
	if err != nil {
		t.Fatal(err)
	}
	for _, network := range networks {
		local := netip.AddrPortFrom(firstAddress(l.Client, network), 4000)
		c, err := l.Client.Dial(network, local, netip.AddrPortFrom(firstAddress(l.Backends[0], network), 443), patience)
		if err != nil {
			t.Fatal(network, err)
		}
		c.SetDeadline(time.Now().Add(patience))
		payload := bytes.Repeat([]byte("x"), 4000) // by UDP in fragments
		if network[:3] == "tcp" {
			if a, err := ReadAnswer(c); err != nil || a.Peer != local {
				t.Error(network, a, err)
			}
		}
		if _, err := c.Write(payload); err != nil {
			t.Error(network, err)
		}
		back := make([]byte, 5000)
		n, err := io.ReadAtLeast(c, back, len(payload))
		if err != nil || !bytes.HasSuffix(back[:n], payload) {
			t.Errorf("%s: %d bytes, %v", network, n, err)
		}
		if network[:3] == "tcp" {
			defer func() {
				if n, err := c.Read(back); err == nil || TimedOut(err) {
					t.Errorf("%s: %d bytes, %v after the server's end", network, n, err)
				}
			}()
		}
	}
	server.Close()
}

// UDP is answered from the destination address of the request, not from the source address of the route back.
func TestAnswersFromWhereAsked(t *testing.T) {
	t.Parallel()
	l := Test(t, Options{})
	if _, err := l.Balancer.Serve(80); err != nil {
		t.Fatal(err)
	}
	for _, network := range networks {
		to := netip.AddrPortFrom(vip(network), 80)
		a, err := l.Client.Ask(network, netip.Addr{}, to, patience)
		if err != nil || a.Local != to || a.Backend != "balancer" {
			t.Errorf("%s: %v, %v", network, a, err)
		}
	}
}

// Ping names the host that replies, and tells a timeout from an ICMP error.
func TestPing(t *testing.T) {
	t.Parallel()
	for _, options := range []Options{{Backends: MaxBackends}, {OneArmed: true}} {
		l := Test(t, options)
		for _, network := range []string{"4", "6"} {
			for _, h := range append(l.Backends, l.Balancer) {
				a, err := l.Client.Ping(netip.Addr{}, firstAddress(h, network), patience)
				if err != nil || a.Backend != h.Name {
					t.Fatalf("%s: %v, %v", firstAddress(h, network), a, err)
				}
			}
			client := l.Client.IP4[9]
			if network == "6" {
				client = l.Client.IP6[9]
			}
			if a, err := l.Client.Ping(client, vip(network), patience); err != nil || a.Peer.Addr() != client {
				t.Errorf("%s: %v, %v", client, a, err)
			}
			load(t, l, `table inet t {
				chain c {
					type filter hook input priority 0
					ip daddr 192.0.2.1 reject with icmp port-unreachable
					ip6 daddr 2001:db8::1 reject with icmpv6 port-unreachable
					ip daddr 192.0.2.2 drop
					ip6 daddr 2001:db8::2 drop
				}
			}`)
			if a, err := l.Client.Ping(netip.Addr{}, vip(network), patience); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("%s refused: %v, %v", vip(network), a, err)
			}
			if a, err := l.Client.Ping(netip.Addr{}, vip(network).Next(), 100*time.Millisecond); !TimedOut(err) {
				t.Errorf("%s dropped: %v, %v", vip(network).Next(), a, err)
			}
			load(t, l, `delete table inet t`)
		}
	}
}
