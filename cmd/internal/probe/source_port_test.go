package probe

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/conntrack"
	"farmc/cmd/internal/netlab"
	"farmc/compiler/farm"
)

// The checks of a backend take turns on four ports, which are the same in each process.
func TestTurns(t *testing.T) {
	checked := target(netip.MustParseAddr("10.2.0.11"), 80, a(farm.HealthTCP))
	var ports []uint16
	for second := range int64(5) {
		ports = append(ports, sourcePort(checked, time.Unix(1000+second, 0)))
	}
	if got := fmt.Sprint(ports); got != "[39693 46693 53693 60693 39693]" {
		t.Errorf("the ports are %s", got)
	}
	for i := range 1000 {
		checked.Backend = fmt.Sprint("b", i)
		if p := sourcePort(checked, time.Unix(int64(i), 0)); p < 32768 || p > 60999 {
			t.Errorf("port %d is not one that the kernel gives to clients", p)
		}
	}
}

// tracked makes a host track connections, and resets reach the conntrack entry.
const tracked = `table inet t { chain c { type filter hook output priority 0; ct state invalid counter; }; }`

// entries are the conntrack entries of a host.
func entries(t *testing.T, h *netlab.Host) (n int) {
	t.Helper()
	err := h.Do(func() error {
		for _, family := range []conntrack.Family{conntrack.IP4, conntrack.IP6} {
			err := conntrack.Dump(t.Context(), conntrack.Filter{Family: family}, func(conntrack.Entry) bool {
				n++
				return true
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Any number of checks of a backend leaves few conntrack entries, and no socket in TIME_WAIT, however they end.
func TestFewConntrackEntries(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	checks := map[string]struct {
		port  uint16
		check farm.Health
	}{
		"tcp":          {22, a(farm.HealthTCP)},
		"tcp, dropped": {dropped, a(farm.HealthTCP, timeout(time.Millisecond))},
		"tcp, refused": {90, a(farm.HealthTCP)},
		"http":         {80, a(farm.HealthHTTP)},
		"udp":          {80, a(farm.HealthUDP)},
		"udp, dropped": {dropped, a(farm.HealthUDP, timeout(time.Millisecond))},
		"icmp":         {0, a(farm.HealthICMP)},
	}
	for name, tt := range checks {
		for family := range 2 {
			l := netlab.Test(t, netlab.Options{Backends: 1})
			load(t, l.Balancer, tracked)
			load(t, l.Backends[0], closedPorts)
			serve(t, l.Backends[0], 22, silent)
			serve(t, l.Backends[0], 80, answers(ok))
			serveUDP(t, l.Backends[0], 80, "pong")
			checked := target(addresses(l.Backends[0])[family], tt.port, tt.check)
			checked.Check.Interval = time.Nanosecond // each turn comes often
			const many = 200
			for range many {
				checkFrom(l.Balancer, checked)
			}
			// If a socket is still there when its port is used again, the kernel gives another port.
			if n := entries(t, l.Balancer); n > many/10 || n == 0 && name != "tcp, refused" {
				t.Errorf("%d checks, %s to %s, left %d entries", many, name, checked.Address, n)
			}
			sockets, err := l.Balancer.Run(t.Context(), "", "cat", "/proc/net/sockstat")
			if err != nil || !strings.Contains(sockets, " tw 0 ") {
				t.Errorf("%s: %v, %s", name, err, sockets)
			}
		}
	}
}

// If the reset is lost, the backend takes the next check from the same port for the last connection. It says so, and
// the check gets through.
func TestLostReset(t *testing.T) {
	t.Parallel()
	l := netlab.Test(t, netlab.Options{Backends: 1})
	serve(t, l.Backends[0], 80, answers(ok))
	for _, address := range addresses(l.Backends[0]) {
		for _, kind := range []farm.HealthType{farm.HealthTCP, farm.HealthHTTP} {
			checked := target(address, 80, a(kind))
			checked.Check.Interval = 100 * 24 * time.Hour // the same port
			load(t, l.Balancer, `table inet lost { chain c { type filter hook postrouting priority 0
				tcp flags & rst == rst drop
			}; }`)
			first := checkFrom(l.Balancer, checked)
			load(t, l.Balancer, "delete table inet lost")
			second := checkFrom(l.Balancer, checked)
			if !first.Healthy || !second.Healthy {
				t.Errorf("%s at %s: %+v, then %+v", kind, address, first, second)
			}
			t.Logf("%s at %s: %s, then %s", kind, address, first.Took, second.Took)
		}
	}
}

// If another program has the port, the kernel chooses one.
func TestTakenPort(t *testing.T) {
	t.Parallel()
	l := netlab.Test(t, netlab.Options{Backends: 1})
	serve(t, l.Backends[0], 80, answers(ok))
	serveUDP(t, l.Backends[0], 80, "pong")
	for _, address := range addresses(l.Backends[0]) {
		checked := target(address, 80, a(farm.HealthTCP))
		checked.Check.Interval = 100 * 24 * time.Hour
		port := sourcePort(checked, time.Now())
		serve(t, l.Balancer, port, silent)
		serveUDP(t, l.Balancer, port, "")
		for _, kind := range []farm.HealthType{farm.HealthTCP, farm.HealthHTTP, farm.HealthUDP} {
			checked.Check.Type = kind
			if got := checkFrom(l.Balancer, checked); !got.Healthy {
				t.Errorf("%s at %s: %+v", kind, address, got)
			}
		}
	}
}

// A socket that connects to its own port would be connected to itself. A backend on this machine can have the port.
func TestNotToItself(t *testing.T) {
	t.Parallel()
	l := netlab.Test(t, netlab.Options{Backends: 1})
	checked := target(l.Balancer.IP4[0], 40000, a(farm.HealthTCP))
	checked.Check.Interval = 100 * 24 * time.Hour
	for i := 0; sourcePort(checked, time.Now()) != checked.Port; i++ {
		checked.Backend = fmt.Sprint("b", i)
	}
	want(t, "no server", checkFrom(l.Balancer, checked), false, "connection refused")
	checked.Check.Type = farm.HealthUDP
	want(t, "no server of UDP", checkFrom(l.Balancer, checked), false, "connection refused")
}

// The program of a backend does not see the connections of type tcp: the handshake is never complete.
func TestHandshakeIsNotSeen(t *testing.T) {
	t.Parallel()
	l := netlab.Test(t, netlab.Options{Backends: 1})
	peers := make(chan uint16, 10)
	serve(t, l.Backends[0], 80, func(conn net.Conn) {
		peers <- conn.RemoteAddr().(*net.TCPAddr).AddrPort().Port()
		answers(ok)(conn)
	})
	for _, address := range addresses(l.Backends[0]) {
		for _, kind := range []farm.HealthType{farm.HealthTCP, farm.HealthHTTP} {
			checked := target(address, 80, a(kind))
			checked.Backend = string(kind) // for a port of its own
			checked.Check.Interval = 100 * 24 * time.Hour
			if got := checkFrom(l.Balancer, checked); !got.Healthy {
				t.Fatalf("%+v", got)
			}
			if kind == farm.HealthTCP {
				continue
			}
			if got, want := <-peers, sourcePort(checked, time.Now()); got != want {
				t.Errorf("the server saw port %d first, want %d of type http", got, want)
			}
		}
	}
}

// Checks of the same backend at the same time have ports of their own, and each finds its reply.
func TestSameCheckAtOnce(t *testing.T) {
	t.Parallel()
	l := netlab.Test(t, netlab.Options{Backends: 1})
	serve(t, l.Backends[0], 80, answers(ok))
	serveUDP(t, l.Backends[0], 80, "pong")
	for _, kind := range []farm.HealthType{farm.HealthTCP, farm.HealthHTTP, farm.HealthUDP, farm.HealthICMP} {
		for _, address := range addresses(l.Backends[0]) {
			checked := target(address, 80, a(kind))
			checked.Check.Interval = 100 * 24 * time.Hour
			if kind == farm.HealthUDP {
				checked.Check.Expect = "pong"
			}
			const many = 100
			results := make(chan Result, many)
			for range many {
				go func() { results <- checkFrom(l.Balancer, checked) }()
			}
			for range many {
				if got := <-results; !got.Healthy {
					t.Errorf("one of %d, %s at %s: %+v", many, kind, address, got)
				}
			}
		}
	}
}
