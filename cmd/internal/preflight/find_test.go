package preflight

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/netlab"
	"farmc/compiler/addr"
	"farmc/compiler/farm"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { os.Exit(netlab.Main(m)) }

// manyFarms are farms of mode snat with ten backends each, no two of which have the same address.
func manyFarms(n int) (farms []*farm.Farm) {
	service, backend := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("10.64.0.1")
	for i := range n {
		f := &farm.Farm{Name: fmt.Sprint("f", i), Mode: farm.SNAT, Listen: []farm.Listen{{Address: service,
			Families: []addr.Family{addr.IP4}, Protocols: []farm.Protocol{farm.TCP},
			Ports: []farm.Ports{{First: uint16(1 + i), Last: uint16(1 + i)}}}}}
		for b := range 10 {
			f.Backends = append(f.Backends, farm.Backend{Name: fmt.Sprint("b", b), State: farm.Up, Weight: 1,
				Address: farm.Addresses{addr.IP4: backend}})
			backend = backend.Next()
		}
		farms = append(farms, f)
	}
	return farms
}

// otherRules are a firewall with a rule for each of many services, behind which the farms' packets pass.
func otherRules(n int) string {
	var rules strings.Builder
	rules.WriteString(`table inet filter {
		chain services {
`)
	for i := range n {
		fmt.Fprintf(&rules, "ip daddr 172.16.%d.%d tcp dport %d accept\n", i/250, i%250, 20000+i)
	}
	rules.WriteString(`}
		chain forward { type filter hook forward priority 0; policy drop
			ct state vmap { established : accept, related : accept, invalid : drop }
			jump services
			ct status dnat accept
		}
		chain pre { type filter hook prerouting priority raw; ip saddr 198.51.100.7 drop; tcp dport 1-65535 counter; }
	}
`)
	return rules.String()
}

// 10,000 farms with 100,000 backends and a firewall cost a quarter of a second of one processor. The limit leaves room
// for slow machines: questions to the kernel about each backend took more than a second.
func TestSpeed(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	lab := netlab.Test(t, netlab.Options{Backends: 1})
	for script, program := range map[string]string{otherRules(100): "nft -f -",
		"": "ip route add 10.64.0.0/10 via 10.2.0.11"} {
		if _, err := lab.Balancer.Run(t.Context(), script, "sh", "-c", program); err != nil {
			t.Fatal(err)
		}
	}
	farms, best := manyFarms(10000), time.Hour
	for range 3 {
		if err := lab.Balancer.Do(func() error {
			began := processorTime()
			found := Find(t.Context(), farms, Losses{}).Without(Notes)
			best = min(best, processorTime()-began)
			if len(found) > 0 {
				t.Errorf("found %v", found[0].Text())
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if t.Log(best); best > 800*time.Millisecond {
		t.Errorf("Find takes %v of a processor", best)
	}
}

// processorTime is the time that the thread has run.
func processorTime() time.Duration {
	var usage unix.Rusage
	unix.Getrusage(unix.RUSAGE_THREAD, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// Each kind of route has its kind of destination, and the next machine on the link.
func TestRoutes(t *testing.T) {
	lab := netlab.Test(t, netlab.Options{Backends: 2})
	const changes = `
		ip route add 10.3.0.0/16 via 10.2.0.11
		ip route add blackhole 10.4.0.0/16
		ip route add unreachable 10.5.0.0/16
		ip route add prohibit 10.6.0.0/16
		ip route add local 192.0.2.128/25 dev lo
		ip route add 10.8.0.0/16 via 10.2.0.12 table 100
		ip rule add to 10.8.0.0/16 lookup 100
		ip -6 route add fd03::/32 via fd00:2::11
		ip -6 route add blackhole fd04::/32`
	if _, err := lab.Balancer.Run(t.Context(), "", "sh", "-ec", changes); err != nil {
		t.Fatal(err)
	}
	if err := lab.Balancer.Do(func() error {
		r := newRoutes()
		defer r.close()
		for _, c := range []struct {
			address string
			kind    destination
			next    string
		}{
			{"10.2.0.1", local, ""}, {"10.2.0.11", onLink, "10.2.0.11"}, {"10.2.0.77", onLink, "10.2.0.77"},
			{"10.3.0.1", elsewhere, "10.2.0.11"}, {"10.3.9.9", elsewhere, "10.2.0.11"}, {"10.4.0.1", nowhere, ""},
			{"10.5.0.1", nowhere, ""}, {"10.6.0.1", nowhere, ""}, {"192.0.2.200", local, ""},
			{"10.8.0.1", elsewhere, "10.2.0.12"}, {"11.0.0.1", nowhere, ""}, {"fd00:2::1", local, ""},
			{"fd00:2::77", onLink, "fd00:2::77"}, {"fd03::1", elsewhere, "fd00:2::11"}, {"fd04::1", nowhere, ""},
		} {
			got := r.lookUp(netip.MustParseAddr(c.address))
			if got.kind != c.kind || c.next != "" && got.next.String() != c.next {
				t.Errorf("%s: %+v, want kind %d by %s", c.address, got, c.kind, c.next)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
