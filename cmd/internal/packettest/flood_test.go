package packettest

import (
	"os"
	"strings"
	"testing"
	"time"

	"farmc/cmd/internal/netlab"
)

// TestFlood floods a farm with SYNs from 100,000 addresses, and from one address, while 50 clients work. It reports the
// share of their connections that succeeds, for several limits, and the cost of a packet of the flood. It checks no
// value, and takes minutes: make test-flood.
func TestFlood(t *testing.T) {
	which := os.Getenv("FARMC_FLOOD")
	if which == "" {
		t.Skip("a measurement: FARMC_FLOOD=all, or a part of the name of a case")
	}
	perClient := "[limits]\nnew-per-client = { rate = '20/second', burst = 40 }\nconnections-per-client = 50\n"
	for _, c := range []struct {
		name      string
		addresses int
		limits    string
	}{
		{"no flood, no limits", 0, ""},
		{"100,000 addresses, no limits", 100_000, ""},
		{"100,000 addresses, limits per client", 100_000, perClient},
		{"100,000 addresses, limits per client, no room", 100_000, perClient + "clients = 1000"},
		{"100,000 addresses, 2,000 new a second", 100_000, "[limits]\nnew = { rate = '2000/second', burst = 500 }"},
		{"100,000 addresses, 50,000 open", 100_000, "[limits]\nconnections = 50000"},
		{"100,000 addresses, synproxy", 100_000, withSynproxy},
		{"one address, no limits", 1, ""},
		{"one address, limits per client", 1, perClient},
		{"one address, limits per client and ban", 1, perClient + "ban = '1m'"},
		{"one address, synproxy", 1, withSynproxy},
	} {
		if which != "all" && !strings.Contains(c.name, which) {
			continue
		}
		s := newTestbed(t, netlab.Options{})
		if err := (steps{addDefaultRoutes,
			farms{"web": oneBackend("dnat", `"192.0.2.1:80"`, "b1", 0) + c.limits}}).do(s); err != nil {
			t.Fatal(err)
		}
		f, lead := flood{testbed: s, addresses: c.addresses}, time.Duration(0)
		if c.addresses > 1 {
			lead = 20 * time.Second // connection tracking fills up
		}
		if err := f.run(lead, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		tracked, _ := s.conntrackEntries()
		t.Logf("%-46s %5.1f %% of %d connections, %6d SYNs/s at %4.1f µs, %6d tracked", c.name,
			100*float64(f.good.Load())/float64(max(f.tried.Load(), 1)), f.tried.Load(),
			f.sent.Load()/int64((lead+10*time.Second)/time.Second), f.cost(), len(tracked))
		s.Close()
	}
}
