package packettest

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"farmc/cmd/internal/netlab"
)

// A nameServer answers DNS questions with the records of its zone; without records the server fails.
type nameServer struct {
	mu   sync.Mutex
	zone []string
}

func (n *nameServer) set(zone ...string) step {
	return stepFunc(func(*testbed) error {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.zone = zone
		return nil
	})
}

func (n *nameServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	n.mu.Lock()
	defer n.mu.Unlock()
	reply := new(dns.Msg).SetRcode(q, dns.RcodeSuccess)
	if len(n.zone) == 0 {
		reply.Rcode = dns.RcodeServerFailure
	}
	for _, line := range n.zone {
		if r, err := dns.NewRR("app.internal. 0 " + line); err == nil && r.Header().Rrtype == q.Question[0].Qtype {
			reply.Answer = append(reply.Answer, r)
		}
	}
	_ = w.WriteMsg(reply)
}

// start has the server answer on the balancer, where every machine of the lab serves on port 53 already.
func (n *nameServer) start(t *testing.T, s *testbed) {
	t.Helper()
	var conn net.PacketConn
	must(t, s.Balancer.Do(func() (err error) {
		conn, err = net.ListenPacket("udp", "127.0.0.1:5353")
		return err
	}))
	must(t, s.shell("nft add table ip names\n"+
		"nft add chain ip names output { type nat hook output priority 0; }\n"+
		"nft add rule ip names output ip daddr 127.0.0.1 udp dport 53 redirect to :5353")())
	server := &dns.Server{PacketConn: conn, Handler: n}
	go server.ActivateAndServe()
	t.Cleanup(func() { server.Shutdown() })
}

// TestHostnames: the addresses of a hostname serve, in both families. An address that joins takes new clients, known
// clients and open connections stay where they are. One that leaves takes none any more. While DNS fails, the last good
// addresses serve.
func TestHostnames(t *testing.T) {
	t.Parallel()
	s := newTestbed(t, netlab.Options{})
	names := &nameServer{}
	names.start(t, s)
	dir, files := t.TempDir(), t.TempDir()
	const backend = "\n[backends.app]\naddress = \"app.internal\"\nport = 8081\n"
	must(t, writeFile(filepath.Join(dir, "web.toml"),
		`listen = ["192.0.2.2:80", "[2001:db8::2]:80"]`+backend))
	must(t, writeFile(filepath.Join(dir, "known.toml"),
		`listen = ["192.0.2.1:80", "[2001:db8::1]:80"]`+"\npersistence = { timeout = \"10m\" }\n"+backend))
	must(t, writeFile(filepath.Join(files, "resolv.conf"), "nameserver 127.0.0.1\n"))
	must(t, writeFile(filepath.Join(files, "hosts"), ""))
	start := fmt.Sprintf("mount --bind %[1]s/resolv.conf /etc/resolv.conf && mount --bind %[1]s/hosts /etc/hosts && "+
		"exec %[2]s watch --dir %[3]s --state-dir %[4]s", files, farmc(t), dir, t.TempDir())
	one := names.set("A 10.2.0.11", "AAAA fd00:2::11")
	two := names.set("A 10.2.0.11", "A 10.2.0.12", "AAAA fd00:2::11", "AAAA fd00:2::12")
	must(t, one.do(s))
	w := startFarmc(t, s, "unshare", "-m", "sh", "-c", start)
	b1, both := shares{"b1:8081": 1}, shares{"b1:8081": 1, "b2:8081": 1}
	web := func(of shares) step { return request{by: "tcp", to: service2, shares: of, sees: "balancer"} }
	known := request{as: unlistedClient, by: "tcp", to: service1, shares: b1, times: 20, sees: "balancer"}
	for _, moment := range []struct {
		name  string
		steps steps
	}{
		{"the first answer", steps{eventually{w.says("backend app@fd00:2::11 new")}, eventually{web(b1)}, known,
			hold{by: "tcp", to: service2}}},
		{"an address that joins", steps{two,
			eventually{w.says("backend app@fd00:2::12 new")}, web(both), known, echo{}}},
		{"an address that leaves", steps{one,
			eventually{w.says("backend app@fd00:2::12 gone")}, web(b1), known, echo{}}},
		{"a failure", steps{names.set(), eventually{w.says("SERVFAIL; its last addresses stay")},
			web(b1), known, echo{}}},
	} {
		if err := moment.steps.do(s); err != nil {
			t.Fatalf("after %s: %v\nfarmc said\n%s", moment.name, err, w.said.String())
		}
	}
	if n := strings.Count(w.said.String(), "web: backend app@10.2.0.12 new"); n != 1 {
		t.Errorf("the address joins %d times", n)
	}
}
