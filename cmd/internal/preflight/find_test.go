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

// The route of the tables is the one that the kernel uses.
func TestRoutes(t *testing.T) {
	lab := netlab.Test(t, netlab.Options{Backends: 2})
	const changes = `
		ip route add 10.3.0.0/16 via 10.2.0.11
		ip route add 10.3.7.0/24 via 10.2.0.12
		ip route add 10.3.7.7/32 via 203.0.113.2
		ip route add 10.3.8.0/24 via 10.2.0.11 metric 20
		ip route add 10.3.8.0/24 via 10.2.0.12 metric 10
		ip route add blackhole 10.4.0.0/16
		ip route add unreachable 10.5.0.0/16
		ip route add prohibit 10.6.0.0/16
		ip route add 10.6.6.0/24 dev eth1
		ip route add local 192.0.2.128/25 dev lo
		ip route add 10.8.0.0/16 via 10.2.0.11 table 100
		ip route add default via 203.0.113.2
		ip route add default via 203.0.113.2 metric 50
		ip -6 route add fd03::/32 via fd00:2::11
		ip -6 route add fd03:0:7::/48 via fd00:2::12
		ip -6 route add blackhole fd04::/32
		ip -6 route add unreachable fd05::/32
		ip -6 route add local fd06::/64 dev lo`
	if _, err := lab.Balancer.Run(t.Context(), "", "sh", "-ec", changes); err != nil {
		t.Fatal(err)
	}
	addresses := strings.Fields(`10.2.0.1 10.2.0.11 10.2.0.12 10.2.0.200 10.3.0.1 10.3.7.1 10.3.7.7 10.3.8.1 10.4.0.1
		10.5.0.1 10.6.0.1 10.6.6.1 10.8.0.1 192.0.2.1 192.0.2.200 198.51.100.7 203.0.113.1 203.0.113.2
		8.8.8.8 127.0.0.1 fd00:2::1 fd00:2::11 fd03::1 fd03:0:7::1 fd04::1 fd05::1
		fd06::1 2001:db8::1 2001:db8:c::9 2001:4860::8888 ::1`)
	if err := lab.Balancer.Do(func() error {
		var r routes
		defer r.close()
		for _, text := range addresses {
			a := netip.MustParseAddr(text)
			byTable, byKernel := r.lookUp(a), r.ask(a)
			if byKernel.kind == nowhere || byKernel.kind == local { // the interface does not matter
				byKernel.link, byTable.link, byKernel.next, byTable.next = 0, 0, netip.Addr{}, netip.Addr{}
			}
			if r.tables[a.Is6()] == nil || byTable != byKernel {
				t.Errorf("%s: %+v by the table, %+v by the kernel", a, byTable, byKernel)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	// with a rule for routes the tables do not decide
	const rule = "ip rule add to 10.8.0.0/16 lookup 100"
	if _, err := lab.Balancer.Run(t.Context(), "", "sh", "-c", rule); err != nil {
		t.Fatal(err)
	}
	if err := lab.Balancer.Do(func() error {
		var r routes
		defer r.close()
		if got := r.lookUp(netip.MustParseAddr("10.8.0.1")); got.next != netip.MustParseAddr("10.2.0.11") {
			t.Errorf("%+v with a rule", got)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
